"""Other people's formats of demonstrations: one module each, with `recognizes(source)` and `read(source, env)`."""

from rlopt.imitation.formats import (
    d3rlpy,
    d4rl,
    hdf5,
    imitation,
    lerobot,
    minari,
    robomimic,
    stable_baselines3,
    tianshou,
    torchrl,
)

FORMATS = {
    "Minari": minari,
    "robomimic": robomimic,
    "D4RL": d4rl,
    "d3rlpy": d3rlpy,
    "tianshou": tianshou,
    "HDF5 arrays": hdf5,
    "imitation": imitation,
    "TorchRL": torchrl,
    "stable-baselines3": stable_baselines3,
    "LeRobot": lerobot,
}
"""By name, in the order in which they are asked. `read` loads the library of its format only when it needs it."""

__all__ = ["FORMATS"]
