"""Demonstrations from one's own arrays: a list of episodes, or arrays that hold several of them.

Shape letters: `T` steps of an episode, `N` of all, `M` episodes, `O` observation, `A` action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from rlopt.commands import called
from rlopt.envs.observations import flatten_observations, observation_space
from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.errors import UserError, warn
from rlopt.imitation.checks import ROUNDING, check_no_actions, storable, unread_flags, warn_of_odd_episodes
from rlopt.imitation.demonstrations import Demonstrations

NAMES = {
    "observations": ("observations", "observation", "obs", "states", "obs_B_T_Do"),
    "next_observations": ("next_observations", "next_observation", "next_obs", "next_states"),
    "actions": ("actions", "action", "acts", "acs", "a_B_T_Da"),
    "rewards": ("rewards", "reward", "rews", "r_B_T"),
    "terminations": ("terminations", "termination", "terminated", "terminals"),
    "truncations": ("truncations", "truncation", "truncated", "timeouts"),
    "dones": ("dones", "done", "terminal"),
    "episode_starts": ("episode_starts", "episode_start", "is_first"),
}
"""The names under which a part of an episode is read. `dones` says that an episode ended, not whether it was cut off;
`episode_starts` that a step is an episode's first."""


@dataclass(frozen=True)
class _Steps:
    """An episode that was read; `reward` is None where it was not recorded."""

    observation: np.ndarray
    action: np.ndarray
    next_observation: np.ndarray
    reward: np.ndarray | None
    terminated: bool
    truncated: bool
    inferred: bool
    """How it ended was not said."""
    dropped: bool
    """The last step went, because the observation after it was not recorded."""
    total: float | None
    """The return, with the reward of a dropped step."""
    whole: bool
    """It ended, and the recording did not just stop."""


def from_episodes(
    episodes: Iterable[Mapping[str, Any]],
    env: EnvSpec | str,
    *,
    actions_scaled: bool = False,
    expert_return: float | None = None,
    random_return: float | None = None,
) -> Demonstrations:
    """Demonstrations from whole episodes. What was assumed or left out is said in a warning, one sentence each.

    Args:
        episodes: dicts of arrays, under the names of `NAMES`:
            `observations` `[T + 1, O]` or, with `next_observations` `[T, O]`, `[T, O]`; without them the last step, whose
            next observation nobody knows, is left out. Matrices are flattened, dicts (one, or a list of T + 1) joined as the
            environment's space says.
            `actions` `[T, A]` in the environment's units; if no episode has any, the demonstrations are of states alone, with
            A = 0.
            `rewards` `[T]`, if recorded.
            `terminated`, `truncated`: how it ended, a bool each or flags `[T]`. An episode that does not say is taken for
            truncated if it has as many steps as the time limit, else for terminated.
            `cut`: True if the recording stopped in the middle of it; it is then no part of the expert's return.
        env: where they were recorded.
        actions_scaled: the actions are in [-1, 1] instead, which stands for the environment's bounds.
        expert_return: mean return of the expert; None: that of the episodes that ended, if all have rewards.
        random_return: mean return of uniformly random actions, if known.

    Raises:
        UserError: a part is missing, has another size than the environment, or an action lies outside the bounds; it says
            in which episode and step, counted from 0.
    """
    spec, episodes = as_spec(env), list(episodes)
    read = [steps for number, episode in enumerate(episodes) if (steps := _read(number, episode, spec)) is not None]
    alone = len(episodes) - len(read)
    if not read:
        raise UserError(f"There are no episodes with a step whose next observation was recorded (of {alone}).")
    if alone:
        warn(f"{alone} episodes of one step are left out: the observation after it was not recorded.")
    if flags := sorted({name for episode in episodes for name in unread_flags(episode, sum(NAMES.values(), ()))}):
        warn(f"Not read, though it looks like the end of an episode: {', '.join(flags)}. Names that are read: {NAMES}.")
    if dropped := sum(steps.dropped for steps in read):
        warn(f"{dropped} of {len(read)} episodes lost their last step: the observation after it was not recorded.")
    if inferred := sum(steps.inferred for steps in read):
        ends = sum(steps.inferred and steps.terminated for steps in read)
        warn(
            f"{inferred} of {len(read)} episodes do not say how they ended: {inferred - ends} that reach the time limit are "
            f"taken for cut off, {ends} for terminated. Give 'terminated' and 'truncated' to be sure."
        )
    rewards = [steps.reward for steps in read if steps.reward is not None]
    following = [steps.next_observation for steps in read]
    warn_of_odd_episodes(following, rewards if len(rewards) == len(read) else [], spec.max_episode_steps)
    unacted = sum(not steps.action.shape[1] for steps in read)
    if unacted not in (0, len(read)):
        raise UserError(f"{unacted} of {len(read)} episodes have no actions: give all of them, or none.")
    totals = [steps.total for steps in read if steps.whole] or [steps.total for steps in read]
    if expert_return is None and None not in totals:
        expert_return = float(np.mean(totals))  # type: ignore[arg-type]
    lengths = torch.tensor([len(steps.action) for steps in read])
    last = lengths.cumsum(0) - 1

    def rows(parts: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(parts).astype(np.float32))

    def flags_at_ends(ends: list[bool]) -> torch.Tensor:
        return torch.zeros(int(lengths.sum()), dtype=torch.bool).index_put((last,), torch.tensor(ends))

    return Demonstrations(
        env_id=spec.env_id,
        observation=rows([steps.observation for steps in read]),
        action=rows(_scaled([steps.action for steps in read], spec, actions_scaled)),
        next_observation=rows(following),
        reward=rows([np.zeros(len(s.action)) if s.reward is None else s.reward for s in read]),
        terminated=flags_at_ends([steps.terminated for steps in read]),
        truncated=flags_at_ends([steps.truncated for steps in read]),
        episode_lengths=lengths,
        action_low=torch.from_numpy(spec.action_low)[: 0 if unacted else None],
        action_high=torch.from_numpy(spec.action_high)[: 0 if unacted else None],
        expert_return=expert_return,
        random_return=random_return,
        env_kwargs=storable(spec.kwargs),
        max_episode_steps=spec.max_episode_steps,
    )


def find(arrays: Mapping[str, Any], part: str) -> Any:
    """The part of an episode under any of its names, or None."""
    return next((arrays[name] for name in NAMES[part] if name in arrays), None)


def as_array(value: Any, where: str) -> np.ndarray:
    """An array, a tensor or nested lists as an array; what is masked is NaN. Raises UserError if empty, or no numbers."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value  # numpy has no such type
    value = value.astype(np.float64).filled(np.nan) if np.ma.is_masked(value) else value
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # lists of unequal lengths, or of tensors elsewhere
        raise UserError(f"{where} must be an array of numbers: {error}") from error
    if array.dtype.kind not in "fiub" or not array.size:
        raise UserError(f"{where} must be an array of numbers, found {array.dtype} of shape {list(array.shape)}.")
    return array


def as_flags(value: Any, where: str) -> np.ndarray:
    """Flags of any number type as bools, of the same shape. Raises UserError for NaN, too."""
    flags = as_array(value, where)
    if np.isnan(flags).any():
        raise UserError(f"{where} holds NaN in {int(np.isnan(flags).sum())} of {flags.size} flags.")
    return flags.astype(bool)


def _array(value: Any, where: str) -> np.ndarray:
    array = as_array(value, where)
    if not array.ndim:
        raise UserError(f"{where} must be an array of numbers, found {array.dtype} of shape [].")
    return array


def _read(number: int, episode: Mapping[str, Any], spec: EnvSpec) -> _Steps | None:
    """The episode; None if it is one step whose next observation nobody knows."""
    where = f"Episode {number}: "
    if not isinstance(episode, Mapping):
        raise UserError(f"{where}a {type(episode).__name__} is not a dict of arrays.")
    parts = {part: find(episode, part) for part in NAMES}
    if parts["observations"] is None:
        raise UserError(f"{where}'observations' is missing; there are {', '.join(map(str, episode)) or 'no keys'}.")
    observation = _vectors(parts["observations"], spec, f"{where}'observations'")
    following = parts["next_observations"]
    following = None if following is None else _vectors(following, spec, f"{where}'next_observations'")
    reward = None if parts["rewards"] is None else _array(parts["rewards"], f"{where}'rewards'").reshape(-1)
    if parts["actions"] is None:
        check_no_actions(episode)
        flags = [np.ravel(parts[part]) for part in ("terminations", "truncations", "dones") if np.size(parts[part]) > 1]
        counted = next(part for part in (following, reward, *flags, observation[1:]) if part is not None)
        action, what = np.empty((len(counted), 0)), "steps"
    else:
        action, what = _array(parts["actions"], f"{where}'actions'"), "actions"
        action = action.reshape(len(action), -1)
        if action.shape[1] != spec.action_size:
            raise UserError(f"{where}actions of size {action.shape[1]}, but {spec.env_id} has {spec.action_size}.")
    steps = len(action)
    if not steps or len(observation) not in (steps, steps + 1) or (following is not None and len(following) != steps):
        raise UserError(f"{where}{len(observation)} observations and {steps} {what}: give one observation more.")
    if reward is not None and len(reward) != steps:
        raise UserError(f"{where}{len(reward)} rewards and {steps} {what}: give as many.")
    if (
        parts["episode_starts"] is not None
        and (starts := as_flags(parts["episode_starts"], f"{where}episode_starts").reshape(-1)[1:steps]).any()
    ):
        raise UserError(f"Episode {number}, step {starts.argmax() + 1}: episode_starts is set after the first step.")
    unseen = parts["actions"] is None and following is None  # the last state is that before the last step, or after it
    limit = spec.max_episode_steps - 1 if unseen else spec.max_episode_steps
    terminated, truncated, inferred = _end(parts, steps, limit, where)
    whole = not episode.get("cut") and (terminated or truncated or steps >= limit)
    total = None if reward is None else float(reward.sum(dtype=np.float64))
    dropped = False
    if len(observation) == steps + 1:
        observation, following = observation[:-1], observation[1:]
    elif following is None:
        if steps == 1:
            return None
        observation, following, action = observation[:-1], observation[1:], action[:-1]
        reward = None if reward is None else reward[:-1]
        terminated, truncated, inferred, dropped = False, False, False, True
    return _Steps(observation, action, following, reward, terminated, truncated, inferred, dropped, total, whole)


def _end(parts: Mapping[str, Any], steps: int, time_limit: int, where: str) -> tuple[bool, bool, bool]:
    """Whether it terminated, was truncated, and whether that had to be inferred."""

    def flag(part: str) -> bool | None:
        if parts[part] is None:
            return None
        flags = as_flags(parts[part], f"{where}{part}").reshape(-1)
        if len(flags) not in (1, steps):
            raise UserError(f"{where}{len(flags)} {part} and {steps} actions: give one, or as many.")
        if flags[:-1].any():
            raise UserError(f"Episode{where[7:-2]}, step {flags.argmax()}: {part} is set before the last step.")
        return bool(flags[-1])

    terminated, truncated, ended = flag("terminations"), flag("truncations"), flag("dones")
    limit = steps >= time_limit
    if terminated is not None:
        return terminated, not terminated if truncated is None else truncated, False
    if truncated or (truncated is None and ended is False):
        return False, bool(truncated), False
    return not limit, limit, True


def _vectors(value: Any, spec: EnvSpec, where: str) -> np.ndarray:
    """Observations `[T, ...]`, a dict of them or a list of T dicts as `[T, O]`, as the environment's own are flattened."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        vectors = np.stack([flatten_observations(_space(spec), one, where) for one in value])
    else:
        vectors = _join(value, _space(spec) if isinstance(value, Mapping) else None, where)
    if vectors.shape[1] != spec.observation_size:
        single = " A dict must hold a whole episode, not one step." * (np.ndim(value) == 1)
        raise UserError(f"{where} have size {vectors.shape[1]}, but {spec.env_id} has {spec.observation_size}.{single}")
    return vectors


_space = lru_cache(maxsize=1)(observation_space)  # of the episodes of one call; making an environment takes time


def _join(value: Any, space: Any, where: str) -> np.ndarray:
    """Arrays side by side, in the order of the space: that of the recorded dict may be another."""
    spaces = getattr(space, "spaces", None)
    if not isinstance(value, Mapping):
        array = _array(value, where)
        return array.reshape(len(array), -1)
    if not isinstance(spaces, Mapping) or (missing := spaces.keys() - value.keys()):
        problem = f"lack {', '.join(map(str, missing))}" if isinstance(spaces, Mapping) else f"are a dict, not {space}"
        raise UserError(f"{where} {problem}.")
    return np.concatenate([_join(value[key], spaces[key], f"{where} {key!r}") for key in spaces], axis=1)


def _scaled(actions: list[np.ndarray], spec: EnvSpec, already: bool) -> list[np.ndarray]:
    """Actions in [-1, 1], checked against the bounds of their unit."""
    everything = np.concatenate(actions).astype(np.float64)
    if not everything.size:
        return actions
    low, high = (bound.astype(np.float64) for bound in (spec.action_low, spec.action_high))
    own = bool(np.allclose(low, -1) and np.allclose(high, 1))
    largest = np.abs(everything).max()
    if already:
        low, high = np.full_like(low, -1), np.full_like(high, 1)
    bounds = f"{low.tolist()} to {high.tolist()}"
    room = ROUNDING * (high - low)
    hint = f"pass actions_scaled=True if [-1, 1] stands for the bounds (--actions-scaled of {called('import')})"
    for number, action in enumerate(actions):
        outside = ((action < low - room) | (action > high + room)).any(-1)
        if outside.any():
            step = int(outside.argmax())
            advice = hint if largest <= 1 + ROUNDING else "clip it, if the environment did so"
            raise UserError(
                f"Episode {number}, step {step}: the action {action[step].tolist()} lies outside the bounds {bounds}: {advice}."
            )
    scaled = [np.clip(2 * (action - low) / (high - low) - 1, -1, 1) for action in actions]
    middle = max(float(np.abs(action).max()) for action in scaled) <= 0.5 + ROUNDING
    if not already and (middle or (not own and largest <= 1 + ROUNDING and (low.min() < -1 or high.max() > 1))):
        within = "[-1, 1]" if largest <= 1 + ROUNDING and not own else "the middle half of the bounds"
        warn(f"All actions lie in {within}, and the bounds are {bounds}: {hint if not own else 'check their unit'}.")
    return scaled
