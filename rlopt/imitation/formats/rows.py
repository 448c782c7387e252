"""Transitions in rows, one episode after the other: where the episodes are, and what in a row is no recording."""

from __future__ import annotations

import numpy as np

from rlopt.errors import UserError, warn
from rlopt.imitation.formats.common import Episode


def split_rows(
    observations: np.ndarray,
    actions: np.ndarray,
    next_observations: np.ndarray | None,
    terminated: np.ndarray,
    truncated: np.ndarray,
    rewards: np.ndarray | None = None,
) -> list[Episode]:
    """Episodes of rows that follow one another, `[N, ...]`, for `from_episodes`.

    An episode ends at a flag, where a next observation is not the next row's observation, and at the last row. Without a flag
    the recording was cut off there: `truncated`, and `cut`, since the return is not that of a whole episode. At an end, a next
    observation that is all zero or the next row's is not the true one: it is left out, so that the step is dropped and counted.
    """
    n = len(observations)
    terminated, truncated = np.asarray(terminated, bool).reshape(n), np.asarray(truncated, bool).reshape(n)
    ended = terminated | truncated
    ended[-1] = True
    known = np.full(n, next_observations is not None)
    if next_observations is not None:
        follows = np.append((next_observations[:-1] == observations[1:]).all(axis=1), False)
        known = ~(ended & (follows | ~next_observations.any(axis=1)))
        cut = ~follows & ~ended
        if cut[:-1].sum() > max(1, 0.5 * n):
            raise UserError(
                f"In {int(cut.sum())} of {n} rows the next observation is not the next row's observation: these are no "
                "episodes in order. Give them as episodes, one after the other."
            )
        ended |= cut
    episodes, start, lost = [], 0, 0
    for stop in (np.flatnonzero(ended) + 1).tolist():
        rows, start = slice(start, stop), stop
        if rows.start + 1 == stop and not known[stop - 1]:
            lost += 1
            continue
        episode: Episode = {"observations": observations[rows], "actions": actions[rows]}
        if next_observations is not None and known[stop - 1]:
            episode["next_observations"] = next_observations[rows]
        if rewards is not None:
            episode["rewards"] = np.asarray(rewards[rows]).reshape(-1)
        episode["terminated"] = bool(terminated[stop - 1])
        episode["truncated"] = not episode["terminated"]
        episode["cut"] = not (terminated | truncated)[stop - 1]
        episodes.append(episode)
    if lost:
        warn(f"{lost} episodes of one step are left out: the observation after it was not recorded.")
    return episodes


def lost_its_start(episodes: list[Episode], time_limit: int) -> None:
    """The row before the first one may be overwritten: its episode counts as cut, unless it has all steps of the time limit."""
    for first in episodes[:1]:
        first["cut"] |= len(first["actions"]) < time_limit


def at_time_limit(ended: np.ndarray, time_limit: int) -> np.ndarray:
    """`[N]`, the rows at which so many steps have passed since the last end (or since the last such row)."""
    reached, steps = np.zeros(len(ended), bool), 0
    for row, end in enumerate(ended):
        steps += 1
        reached[row] = steps == time_limit
        steps = 0 if end or reached[row] else steps
    return reached


def without_padding(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows before those at the end that are zero in every array: places of a buffer that were never filled."""
    filled = np.logical_or.reduce([value.reshape(len(value), -1).any(axis=1) for value in arrays.values()])
    keep = int(np.flatnonzero(filled)[-1]) + 1 if filled.any() else 0
    n = len(filled)
    if keep == 0:
        raise UserError(f"All {n} rows are zero: nothing was recorded.")
    if keep < n:
        warn(f"The last {n - keep} of {n} rows are zero: they count as padding and are left out.")
    return {key: value[:keep] for key, value in arrays.items()}
