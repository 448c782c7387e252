"""What must hold of transitions, whoever recorded them. Shape letters: `N` transitions, `M` episodes, `O`, `A` sizes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlopt.errors import UserError, warn

ROUNDING = 1e-5
"""Relative difference that counts as rounding: recordings come in float32, float64 and text."""


def validate_transitions(transitions: Mapping[str, Tensor], episode_lengths: Sequence[int] = ()) -> None:
    """Check shapes and values: `observation`, `next_observation` `[N, O]`, `action` `[N, A]`, any other key `[N]`.

    A is 0 where actions were not recorded.

    Raises:
        UserError: a wrong shape (the key, expected and found), NaN or infinity (the key, how many and, with `episode_lengths`,
            where the first one is), or no data.
    """
    for key in ("observation", "action"):
        if transitions[key].ndim != 2:
            raise UserError(f"'{key}' must have shape [transitions, size], found {list(transitions[key].shape)}.")
    (n, observation_size), action_size = transitions["observation"].shape, transitions["action"].shape[1]
    if 0 in (n, observation_size):
        raise UserError(f"There is no data: {n} transitions of {observation_size} observations.")
    sizes = {"observation": [observation_size], "next_observation": [observation_size], "action": [action_size]}
    for key, value in transitions.items():
        expected, found = [n, *sizes.get(key, [])], list(value.shape)
        if found != expected:
            raise UserError(f"'{key}' must have shape {expected} to go with 'observation', found {found}.")
        bad = ~value.isfinite()
        if bad.any():
            first = int(bad.reshape(n, -1).any(1).nonzero()[0])
            where = f" (first in {place(first, episode_lengths)})" if sum(episode_lengths) == n else ""
            raise UserError(
                f"'{key}' holds NaN or infinity in {int(bad.sum())} of {bad.numel()} values{where}: remove those transitions."
            )


def place(row: int, episode_lengths: Sequence[int]) -> str:
    """Episode and step of a row, counted from 0."""
    episode = 0
    while row >= episode_lengths[episode]:
        row, episode = row - episode_lengths[episode], episode + 1
    return f"episode {episode}, step {row}"


def actions_out_of_range(action: Tensor) -> str | None:
    """A sentence that says how many of the actions `[N, A]` leave [-1, 1] by more than rounding, or None."""
    count = int((action.abs() > 1 + 1e-6).any(dim=-1).sum())
    formula = "2 * (action - low) / (high - low) - 1"
    return f"{count} of {len(action)} actions lie outside [-1, 1]: scale them, {formula}." if count else None


def check_boundaries(
    observation: Tensor, next_observation: Tensor, ended: Tensor, episode_lengths: Sequence[int], gaps: bool = False
) -> None:
    """Check that transitions are whole episodes of these lengths, one after the other.

    Args:
        observation: `[N, O]`.
        next_observation: `[N, O]`.
        ended: `[N]`, terminated or truncated.
        episode_lengths: sums to N.
        gaps: steps were left out, so that observations do not follow one another.

    Raises:
        UserError: with episode and step, counted from 0: a flag before an episode's last step, a next observation that is
            not the observation of the next step, or one that is the start of the next episode.
    """
    last = torch.zeros(len(ended), dtype=torch.bool)
    last[torch.as_tensor(episode_lengths).cumsum(0) - 1] = True

    def refuse(bad: Tensor, message: str) -> None:
        if bad.any():
            raise UserError(f"{place(int(bad.nonzero()[0]), episode_lengths).capitalize()}: {message}")

    refuse(
        ended & ~last,
        "terminated or truncated is set before the last step: 'episode_lengths' must end an episode wherever a flag is set.",
    )
    if gaps or len(observation) < 2:
        return
    following = observation.roll(-1, 0)
    follows = torch.isclose(next_observation, following, rtol=ROUNDING, atol=ROUNDING).all(-1)
    refuse(
        ~follows & ~last,
        "the next observation is not the observation of the next step: the episode ends elsewhere, or steps are missing "
        "(data that were thinned out on purpose say subsampled=True).",
    )
    moved = (next_observation != observation).any(-1)  # a state that does not change tells nothing
    exactly = (next_observation == following).all(-1) & (len(episode_lengths) > 1)
    refuse(
        exactly & last & moved,
        "the next observation is the first one of the next episode: give the true last observation, or leave the step out "
        "(of gymnasium's vector environments and its Autoreset rather the next step, in which they reset).",
    )


def begin_with_resets(rewards: Sequence[np.ndarray]) -> bool:
    """Whether all episodes but the first one begin with a reward of 0, which most other steps, and its own first, have not.

    So do those of a gymnasium vector environment (autoreset mode NEXT_STEP, its default) if every step was recorded: the one
    after an end ignores the action and leads from the last observation to the new start.

    Args:
        rewards: of each episode, `[T]`.
    """
    if len(rewards) < 3 or rewards[0][0] == 0 or any(reward[0] != 0 for reward in rewards[1:]):
        return False
    others = np.concatenate([reward[1:] for reward in rewards])
    return len(others) > 0 and float((others != 0).mean()) > 0.5


def warn_of_resets(rewards: Sequence[np.ndarray]) -> None:
    """Say so if `begin_with_resets`."""
    if begin_with_resets(rewards):
        warn(
            "Every episode but the first begins with a reward of 0: if a gymnasium vector environment recorded them, this is "
            "the step in which it resets. Leave out the step after each end."
        )


def warn_of_odd_episodes(observations: Sequence[np.ndarray], rewards: Sequence[np.ndarray], time_limit: int) -> None:
    """Say what looks as if it went wrong in the recording.

    Args:
        observations: that follow the steps of each episode, `[T, O]`.
        rewards: of each episode, `[T]`; none if any episode has none.
        time_limit: steps that the environment allows in an episode, 0 for no limit.
    """
    warn_of_resets(rewards)
    longest = max(map(len, observations))
    if 0 < time_limit < longest:
        warn(
            f"The longest episode has {longest} steps, and the environment's time limit is {time_limit}: were all ends "
            "recorded, those by the time limit ('truncations'), too? If it was another one, say --max-episode-steps."
        )
    if still := sum(len(rows) > 2 and bool((rows == rows[0]).all()) for rows in observations):
        warn(
            f"In {still} of {len(observations)} episodes every observation is the same one: if the environment fills one "
            "array again and again, record copies of it."
        )


def plain(value: Any, name: str) -> Any:
    """A keyword argument of an environment as a file can keep it: numbers, text, lists, tuples and dicts of them.

    Raises UserError, with the name, for anything else.
    """
    if hasattr(value, "tolist"):  # numpy
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return type(value)([plain(item, name) for item in value])
    if isinstance(value, Mapping):
        return {str(key): plain(item, name) for key, item in value.items()}
    raise UserError(f"The environment's argument {name!r} is a {type(value).__name__}: a file keeps numbers and text.")


def storable(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of an environment that a file can keep; the others are named in a warning."""
    kept = {}
    for name, value in kwargs.items():
        try:
            kept[name] = plain(value, name)
        except UserError as error:
            warn(f"{error} It is left out; give it again with the environment.")
    return kept


def check_no_actions(keys: Iterable[Any]) -> None:
    """Raise UserError if a recording without 'action' has a key that looks like it: states alone must be meant."""
    names = [key if isinstance(key, str) else ".".join(map(str, key)) for key in keys]
    if like := [name for name in names if re.search(r"(^|[_.])(act|acs|control|ctrl)", name.lower())]:
        raise UserError(f"'action' is missing, but {', '.join(like)} looks like it: rename it, or leave it out.")


def unread_flags(keys: Iterable[Any], known: Collection[Any]) -> list[str]:
    """Those of a recording's keys that are not known and look as if they said where an episode ends."""
    words = ("term", "trunc", "done", "timeout", "end_of", "is_last", "final", "episode_end")
    names = [(key, key if isinstance(key, str) else ".".join(map(str, key))) for key in keys]
    return [name for key, name in names if key not in known and any(word in name.lower() for word in words)]
