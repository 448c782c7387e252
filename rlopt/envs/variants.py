"""Known tasks under changed dynamics, to see whether a learned reward transfers: `rlopt/LongPendulum-v1` and others.

Spaces and rewards are the original's. `rlopt.envs.spec` registers them with gymnasium.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gymnasium as gym


@dataclass(frozen=True)
class Variant:
    """A changed environment."""

    base: str
    """Id of the original one, whose preset it shares."""
    entry_point: str
    """The function that makes it, as gymnasium writes it."""
    max_episode_steps: int
    """The time limit."""


VARIANTS = {
    "rlopt/LongPendulum-v1": Variant("Pendulum-v1", f"{__name__}:long_pendulum", 200),
    "rlopt/HeavyHalfCheetah-v5": Variant("HalfCheetah-v5", f"{__name__}:heavy_half_cheetah", 1000),
}


@cache
def register_variants() -> None:
    """Make the variants known to gymnasium, once."""
    import gymnasium as gym  # here, because command lines are read before anything is loaded

    for env_id, variant in VARIANTS.items():
        gym.register(env_id, entry_point=variant.entry_point, max_episode_steps=variant.max_episode_steps)


def long_pendulum(**kwargs: Any) -> gym.Env:
    """Pendulum-v1 with a link a quarter longer."""
    from gymnasium.envs.classic_control.pendulum import PendulumEnv

    env = PendulumEnv(**kwargs)
    env.l = 1.25
    return env


def heavy_half_cheetah(**kwargs: Any) -> gym.Env:
    """HalfCheetah-v5 with a torso of twice the mass."""
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

    env = HalfCheetahEnv(**kwargs)
    torso = env.model.body("torso").id
    env.model.body_mass[torso] *= 2
    env.model.body_inertia[torso] *= 2
    return env
