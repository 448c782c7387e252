"""Copies of an environment whose physics and rewards are computed for all of them at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rlopt.envs.batch.pendulums import InvertedDoublePendulumTask, InvertedPendulumTask, PendulumTask, ReacherTask
from rlopt.envs.batch.task import BatchedTask
from rlopt.envs.batch.walkers import AntTask, HalfCheetahTask, HopperTask, HumanoidTask, SwimmerTask, Walker2dTask
from rlopt.envs.checks import close_env, wrappers
from rlopt.envs.copies import Copies, GymnasiumCopies, LocalCopies
from rlopt.envs.spec import EnvSpec

_CHECKED_STEPS = 5
"""Steps in which a batch must be equal to gymnasium's environment, before it is used in its place."""

_MUJOCO = "gymnasium.envs.mujoco"
_TASKS: dict[str, Callable[[Any, int, int], BatchedTask]] = {
    "gymnasium.envs.classic_control.pendulum:PendulumEnv": PendulumTask,
    f"{_MUJOCO}.inverted_pendulum_v5:InvertedPendulumEnv": InvertedPendulumTask,
    f"{_MUJOCO}.inverted_double_pendulum_v5:InvertedDoublePendulumEnv": InvertedDoublePendulumTask,
    f"{_MUJOCO}.reacher_v5:ReacherEnv": ReacherTask,
    f"{_MUJOCO}.swimmer_v5:SwimmerEnv": SwimmerTask,
    f"{_MUJOCO}.half_cheetah_v5:HalfCheetahEnv": HalfCheetahTask,
    f"{_MUJOCO}.hopper_v5:HopperEnv": HopperTask,
    f"{_MUJOCO}.walker2d_v5:Walker2dEnv": Walker2dTask,
    f"{_MUJOCO}.ant_v5:AntEnv": AntTask,
    f"{_MUJOCO}.humanoid_v5:HumanoidEnv": HumanoidTask,
}
"""Classes of gymnasium's environments, and what steps copies of them: from an environment, their number and one of threads."""


def make_copies(spec: EnvSpec, reset_seeds: Sequence[int], first: int = 0, threads: int = 1) -> Copies:
    """N copies of an environment: one batch if rlopt knows the task, else gymnasium's environments one after the other.

    The numbers are the same, bit for bit, whichever it is, and with any number of threads.

    Args:
        spec: of the environment.
        reset_seeds: N seeds of the first episodes.
        first: the number of the first environment, for messages.
        threads: that step a batch of MuJoCo's; no more than N are used.
    """
    task = find_batch(spec, len(reset_seeds), threads)
    if task is None:
        return GymnasiumCopies(spec, reset_seeds, first)
    return BatchedCopies(spec, reset_seeds, task, first)


class BatchedCopies(LocalCopies):
    """N environments that a `BatchedTask` steps at once."""

    def __init__(self, spec: EnvSpec, reset_seeds: Sequence[int], task: BatchedTask, first: int = 0):
        super().__init__(spec, reset_seeds, first)
        self.task = task

    def _reset(self, numbers: np.ndarray, seeds: Sequence[int]) -> None:
        if len(numbers):
            self._call(int(numbers[0]))
            self.task.reset(numbers, [np_random(seed)[0] for seed in seeds])
            self.observation[numbers] = self.task.observe(numbers)

    def _step(self, numbers: np.ndarray, action: np.ndarray) -> None:
        self._call(int(numbers[0]))
        rows = slice(None) if len(numbers) == len(self) else numbers  # a view costs less than a copy
        self.reward[rows], self.terminated[rows] = self.task.step(rows, action)
        self.observation[rows] = self.task.observe(rows)
        self.length[rows] += 1
        self.truncated[rows] = self.length[rows] >= self.spec.max_episode_steps

    def close(self) -> None:
        """Close the environments."""
        super().close()
        self.task.close()


def find_batch(spec: EnvSpec, copies: int, threads: int = 1) -> BatchedTask | None:
    """The batch of an environment; None if rlopt has none for it, or it does not do the same with the installed versions."""
    env = spec.make()
    task = None
    try:
        make = _TASKS.get(f"{type(env.unwrapped).__module__}:{type(env.unwrapped).__qualname__}")
        if make is not None and _is_plain(env):
            task = make(env.unwrapped, copies, max(1, min(threads, copies)))
            if _same_steps(spec, env, task):
                return task
    # a model that a batch cannot take, a MuJoCo without batches, an attribute of another version
    except Exception as error:
        logging.getLogger("rlopt").debug(f"{spec.env_id} is stepped one by one: {error!r}")
    close_env(env, spec.env_id)
    return None


def _is_plain(env: gym.Env) -> bool:
    """Whether nothing is wrapped around an environment that changes what it does, and nobody looks at it."""
    plain = all(type(wrapper) in (TimeLimit, OrderEnforcing) for wrapper in wrappers(env))
    return plain and env.unwrapped.render_mode is None


def _same_steps(spec: EnvSpec, env: gym.Env, task: BatchedTask) -> bool:
    """Whether one copy of a batch does what the environment does, in a few random steps: the installed versions decide."""
    rows = np.zeros(1, np.int64)
    observation, _ = env.reset(seed=0)
    task.reset(rows, [np_random(0)[0]])
    if not np.array_equal(task.observe(rows)[0], observation):
        return False
    generator = np.random.default_rng(0)
    for _ in range(_CHECKED_STEPS):
        action = spec.to_env_units(generator.uniform(-1, 1, (1, spec.action_size)).astype(np.float32))
        observation, reward, terminated, _, _ = env.step(action[0])
        rewards, ends = task.step(rows, action)
        same = np.array_equal(task.observe(rows)[0], observation) and rewards[0] == reward and ends[0] == terminated
        if not same or terminated:
            return same
    return True
