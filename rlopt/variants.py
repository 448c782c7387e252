"""Known tasks under changed dynamics, to see whether a learned reward transfers: `rlopt/LongPendulum-v1` and others.

Importing `rlopt.envs` registers them with gymnasium. Spaces and rewards are the original's.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
from gymnasium.envs.classic_control.pendulum import PendulumEnv


def long_pendulum(**kwargs: Any) -> gym.Env:
    """Pendulum-v1 with a link a quarter longer."""
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


gym.register("rlopt/LongPendulum-v1", entry_point=long_pendulum, max_episode_steps=200)
gym.register("rlopt/HeavyHalfCheetah-v5", entry_point=heavy_half_cheetah, max_episode_steps=1000)
