"""One look at an environment before anything is trained: what is wrong with it, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rlopt.envs.versions import told
from rlopt.errors import ANYTHING, UserError, warn

if TYPE_CHECKING:
    import gymnasium as gym

LARGEST_WIDTH = 1e9
"""Bounds further apart than this stand for none: dm_control gives an actuator without limits MuJoCo's largest number, 1e10."""


def check_spaces(env: gym.Env, name: str, time_limit: int | None) -> None:
    """Raise UserError for spaces that no agent of rlopt can act in, and for episodes without an end."""
    from gymnasium.spaces import Box

    observation, action = env.observation_space, env.action_space
    if not isinstance(action, Box):
        kind = type(action).__name__
        raise UserError(f"{name} has a {kind} action space; rlopt needs a continuous one (Box): choose another --env.")
    if not isinstance(observation, Box) or len(observation.shape) != 1:
        raise UserError(
            f"{name} observes {observation}; rlopt needs a flat vector, a matrix, or a Dict of these. gymnasium's "
            "FlattenObservation, in a function that makes the environment, turns other spaces into a vector."
        )
    if len(action.shape) != 1 or not np.isfinite(action.low).all() or not np.isfinite(action.high).all():
        raise UserError(f"{name} has the action space {action}; rlopt needs a one-dimensional Box with finite bounds.")
    if not np.issubdtype(action.dtype, np.floating):
        raise UserError(f"{name} has actions of {action.dtype}; rlopt needs continuous ones: choose another --env.")
    width = action.high.astype(np.float64) - action.low
    bad = np.flatnonzero((width <= 0) | (width > LARGEST_WIDTH))
    if len(bad):
        low, high = action.low[bad[0]], action.high[bad[0]]
        problem = (
            "have no width: leave the component out" if width[bad[0]] <= 0 else "are too wide to scale an action to"
        )
        problem += ", or give the actuator of a MuJoCo model its ctrlrange"
        raise UserError(f"{name}: the bounds {low:g} and {high:g} of action component {bad[0]} {problem}.")
    if time_limit is None:
        raise UserError(
            f"{name} has no time limit, so that an episode may never end: give one with --max-episode-steps, "
            "or register it with max_episode_steps."
        )


def close_env(env: gym.Env, name: str) -> None:
    """Close it; that it cannot be closed is a warning, because nothing is lost by that."""
    try:
        env.close()
    except ANYTHING as error:  # an environment can raise anything
        _warn_once(f"{name}: close() fails: {told(error)}.")


_warn_once = lru_cache(warn)  # of every copy that is closed


def look_once(env: gym.Env, name: str) -> bool:
    """Reset and two steps. Raises UserError for what cannot be trained on; what evaluation must know is a warning.

    Returns whether every reset with a seed gives the same start.
    """
    first, second, again = (_reset(env, name, seed) for seed in (1, 2, 1))
    if not np.array_equal(first, again):
        warn(f"{name}: reset(seed) gives another start each time, so evaluations of methods are not paired.")
    alike = np.array_equal(first, second) and np.array_equal(first, again)
    if alike:
        warn(f"{name}: every reset(seed) gives the same start, so episodes begin with a second one without a seed.")
    for wrapper in wrappers(env):
        if type(wrapper).__name__ in ("NormalizeObservation", "NormalizeReward"):
            raise UserError(
                f"{name} has the wrapper {type(wrapper).__name__}, whose statistics differ between training and evaluation: "
                "leave it out, and use --standardize-observations."
            )
    space: Any = env.action_space
    action = (space.low + 0.5 * (space.high - space.low)).astype(np.float32)  # as in training
    for number in (1, 2):
        try:
            outcome: Any = env.step(action)
            observation, reward, terminated, truncated, _ = outcome
        except ANYTHING as error:  # an environment can raise anything
            hint = " It must return (observation, reward, terminated, truncated, info)." * ("unpack" in str(error))
            raise UserError(f"{name}: step({action.tolist()}) fails: {told(error)}.{hint}") from error
        _check_observation(env, name, observation, f"step {number}")
        if np.ndim(reward) or np.asarray(reward).dtype.kind not in "fiub":
            several = " Objectives need weights: register it with a wrapper, as MO-Gymnasium's LinearReward is one."
            hint = several * (np.size(reward) > 1)
            raise UserError(f"{name}: step() returns the reward {reward!r}, not one number.{hint}")
        if not np.isfinite(reward):
            raise UserError(f"{name}: step {number} returns the reward {reward}.")
        if terminated or truncated:
            break
    return alike


def wrappers(env: gym.Env) -> Iterator[gym.Wrapper]:
    """What is wrapped around an environment, the outermost first."""
    while env is not env.unwrapped:
        yield env  # type: ignore[misc]
        env = env.env  # type: ignore[attr-defined]


def ends_by_itself(env: gym.Env, steps: int) -> bool:
    """Whether an episode of random actions is over after so many steps, which are fewer than its time limit."""
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            return True
    return False


def _reset(env: gym.Env, name: str, seed: int) -> np.ndarray:
    try:
        outcome = env.reset(seed=seed)
    except ANYTHING as error:  # an environment can raise anything
        raise UserError(f"{name}: reset(seed={seed}) fails: {told(error)}.") from error
    if not isinstance(outcome, tuple) or len(outcome) != 2:
        raise UserError(f"{name}: reset() returns a {type(outcome).__name__}, not (observation, info).")
    _check_observation(env, name, outcome[0], "reset()")
    return np.array(outcome[0])


def _check_observation(env: gym.Env, name: str, observation: Any, when: str) -> None:
    expected, found = env.observation_space.shape, np.shape(observation)
    if found != expected:
        raise UserError(f"{name}: {when} gives an observation of shape {found}, but its space says {expected}.")
    if not np.isfinite(np.asarray(observation, np.float64)).all():
        raise UserError(f"{name}: {when} gives an observation with NaN or infinity.")
