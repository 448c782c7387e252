"""HDF5 files of arrays under the names that are read in an `.npz`; GAIL's expert files are such.

Ho and Ermon, "Generative Adversarial Imitation Learning", 2016, store `obs_B_T_Do`, `a_B_T_Da`, `r_B_T` `[M, T, ...]`,
padded, and `len_B` `[M]`, actions in the environment's units. The last step of an episode is dropped and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlopt.imitation import arrays
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import NAMES
from rlopt.imitation.formats import d4rl
from rlopt.imitation.formats.common import hdf5_keys, library, needed_env


def recognizes(source: Any) -> bool:
    """Whether it is an HDF5 file with such names, and not D4RL's."""
    return bool(hdf5_keys(source) & set(NAMES["observations"])) and not d4rl.recognizes(source)


def read(source: Any, env: Any = None) -> Demonstrations:
    """Read it. Raises UserError without an environment, or where the data cannot be right."""
    spec = needed_env(env, source)
    with library("h5py").File(source, "r") as file:
        found = {name: value if isinstance(value, Mapping) else np.asarray(value) for name, value in file.items()}
        return arrays.read(found, spec)
