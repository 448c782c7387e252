"""Several episodes in one set of arrays, as in an `.npz` file, taken apart for `from_episodes`."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from rlopt.envs.spec import EnvSpec, as_spec
from rlopt.errors import UserError
from rlopt.imitation.axes import FLAGS, count_steps, has_two, is_time_first, step_flags
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.imitation.episodes import NAMES, as_array, as_flags, find, from_episodes
from rlopt.imitation.resets import leave_out_resets

LENGTHS = ("episode_lengths", "lengths", "len_B")
"""The names under which the lengths of episodes are read."""


def recognizes(source: Any) -> bool:
    """An `.npz` file, a list of episodes, or a dict of arrays under the names of `episodes.NAMES`."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source).endswith(".npz")
    if isinstance(source, list | tuple):
        return all(isinstance(episode, Mapping) for episode in source)
    return isinstance(source, Mapping)


def read(source: Any, env: EnvSpec | None) -> Demonstrations:
    """The demonstrations of such a source. Arrays may say `actions_scaled`, `time_first`, `expert_return`, `random_return`.

    Raises:
        UserError: no environment, a damaged file, or no word on where episodes end.
    """
    if isinstance(source, str | os.PathLike):
        source = load_npz(source)
    if env is None:
        raise UserError("These demonstrations do not name their environment: say which one with --env (env=...).")
    if not isinstance(source, Mapping):
        return from_episodes(source, env)
    about = {name: _single(source, name) for name in ("expert_return", "random_return") if name in source}
    scaled = bool(_single(source, "actions_scaled"))
    return from_episodes(split_episodes(source, as_spec(env)), env, actions_scaled=scaled, **about)


def _single(arrays: Mapping[str, Any], name: str) -> Any:
    """The number or bool of that name, or None. Raises UserError for anything else."""
    if arrays.get(name) is None:
        return None
    value = as_array(arrays[name], f"'{name}'")
    if value.size != 1:
        raise UserError(f"'{name}' must be one number, found an array of shape {list(value.shape)}.")
    return value.item()


def load_npz(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file. Raises UserError if it is missing, damaged or pickled, and PermissionError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise UserError(f"Demonstrations not found: {path}.") from error
    except PermissionError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each raise their own for a damaged file
        pickled = "it holds pickled objects, which could run code, instead of plain arrays"
        reason = pickled if "pickle" in str(error) else str(error)
        reason = reason if zipfile.is_zipfile(path) else "it is no .npz file"
        raise UserError(f"{path} cannot be read: {reason}.") from error


def split_episodes(arrays: Mapping[str, Any], spec: EnvSpec) -> list[dict[str, Any]]:
    """Episodes of arrays `[N, ...]` (observations: also `[N + M, ...]`, each with its last one), `[M, T, ...]`, `[T, E, ...]`.

    Lists of M arrays of unequal lengths are episodes already. Where they end is said by `episode_lengths` `[M]`, by flags of
    each step, or by observations that are one more than actions: one episode. Of `[M, T, ...]`, steps beyond
    `episode_lengths`, or where `mask` `[M, T]` is False, are padding. `[T, E, ...]` are the steps of E environments at once,
    told by `axes.is_time_first` or by `time_first` in the arrays. Of `[E, T, ...]`, next observations or `time_first` (False)
    tell that a row holds several episodes.

    Raises:
        UserError: nothing says where episodes end, or what does disagrees with the arrays.
    """
    parts = {part: value for part in NAMES if (value := find(arrays, part)) is not None}
    if "observations" not in parts:
        raise UserError(f"'observations' are needed; there are {', '.join(map(str, arrays)) or 'none'}.")
    if isinstance(parts["observations"], Mapping):
        raise UserError("Observations are a dict: give a list of episodes, each with a dict of arrays [T + 1, ...].")
    if _are_episodes(parts["observations"]):
        return _of_lists(parts)
    flags = (*FLAGS, "episode_starts")
    parts = {
        part: np.atleast_1d((as_flags if part in flags else as_array)(value, f"'{part}'"))
        for part, value in parts.items()
    }
    lengths = _lengths(next((arrays[name] for name in LENGTHS if name in arrays), None))
    mask = None if arrays.get("mask") is None else as_flags(arrays["mask"], "'mask'")
    if not has_two(parts["observations"], spec.observation_size):
        if mask is not None and not mask.all():
            raise UserError(
                "'mask' goes with arrays [episodes, steps, ...]: leave out the steps where it is False, and it."
            )
        episodes = _one_after_the_other(parts, lengths)
        return leave_out_resets([episodes]) if lengths is None else episodes
    said = _single(arrays, "time_first")
    steps = count_steps(parts, bool(said))
    if mask is not None:
        if mask.shape not in (steps, (*steps, 1)):
            raise UserError(f"'mask' must have the shape {list(steps)} of the steps, found {list(mask.shape)}.")
        mask = mask.reshape(steps)
    time_first = is_time_first(parts, steps, lengths, mask, spec.max_episode_steps) if said is None else bool(said)
    for part, value in parts.items():
        if value.ndim == 1 and len(value) != steps[int(time_first)]:
            raise UserError(
                f"'{part}' has the shape {list(value.shape)}, and the steps {list(steps)}: give one for each step."
            )
    if time_first:  # from here on time is second
        parts = {part: value.swapaxes(0, 1) if value.ndim > 1 else value[:, None] for part, value in parts.items()}
        steps, mask = steps[::-1], None if mask is None else mask.T
    if mask is not None and (~mask[:, :-1] & mask[:, 1:]).any():
        raise UserError(
            "'mask' has steps after padding: it must be True up to an episode's last step, and False after it."
        )
    if lengths is None and mask is not None:
        lengths = mask.sum(1)
    goes_on = None if time_first or lengths is not None else _goes_on(parts, steps)
    if goes_on and said is None and "next_observations" not in parts:
        raise UserError(
            f"Row {goes_on[0]} goes on after step {goes_on[1]}, which ends an episode. If a row is what one environment did, "
            "episode after episode, add 'time_first' (False)."
        )
    if lengths is not None or not (time_first or goes_on):
        return _padded(parts, steps[1], lengths)
    streams = [{part: value[i] for part, value in parts.items()} for i in range(steps[0])]
    return leave_out_resets([_one_after_the_other(stream, None) for stream in streams])


def _are_episodes(observations: Any) -> bool:
    """Whether they are lists of matrices of unequal lengths, which are no array."""
    if not isinstance(observations, list | tuple) or not all(np.iterable(episode) for episode in observations):
        return False
    return len({len(episode) for episode in observations if len(episode) and np.iterable(episode[0])}) > 1


def _of_lists(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Episodes of lists `[M]` of arrays `[T, ...]`. Raises UserError if the lists are not equally long."""
    counts = {part: len(value) for part, value in parts.items()}
    if len(set(counts.values())) > 1:
        raise UserError(f"Lists of episodes must be equally long, found {counts}.")
    return [{part: value[i] for part, value in parts.items()} for i in range(counts["observations"])]


def _lengths(given: Any) -> np.ndarray | None:
    """`[M]`, as whole numbers. Raises UserError if they are not."""
    if given is None:
        return None
    lengths = as_array(given, "'episode_lengths'").reshape(-1)
    if (lengths % 1 != 0).any():
        raise UserError(f"'episode_lengths' must be whole numbers, found {lengths[lengths % 1 != 0][0]}.")
    return lengths.astype(np.int64)


def _one_after_the_other(parts: dict[str, np.ndarray], lengths: np.ndarray | None) -> list[dict[str, Any]]:
    num_observations = len(parts["observations"])
    n = int(lengths.sum()) if lengths is not None and "actions" not in parts else _count_steps(parts)
    flags = [parts[part].reshape(-1) for part in FLAGS if part in parts]
    if "episode_starts" in parts:
        flags.append(np.append(parts["episode_starts"].reshape(-1)[1:], False))
    flags = [flag for flag in flags if len(flag) == n]
    if lengths is None and num_observations == n + 1 and not np.any([flag[:-1].any() for flag in flags]):
        return [parts]
    if lengths is None:
        if not flags:
            raise UserError(
                "Nothing says where an episode ends: add 'episode_lengths' [episodes], or 'terminations' and 'truncations' "
                "[steps]."
            )
        ends = np.flatnonzero(np.any(flags, axis=0)) + 1
        lengths = np.diff(ends if len(ends) and ends[-1] == n else [*ends, n], prepend=0)
    if lengths.sum() != n or (lengths < 1).any():
        raise UserError(f"'episode_lengths' must be positive and sum to {n} steps, found {int(lengths.sum())}.")
    for part, value in parts.items():
        if len(value) not in ((n, n + 1, n + len(lengths)) if part == "observations" else (n, len(lengths))):
            raise UserError(f"'{part}' has {len(value)} rows, and there are {n} steps in {len(lengths)} episodes.")
    with_last = num_observations == n + len(lengths)
    episodes = []
    for i, (length, end) in enumerate(zip(lengths, lengths.cumsum(), strict=True)):
        rows = {
            part: value[end - length : end]
            for part, value in parts.items()
            if len(value) == n or part == "observations"
        }
        if with_last:
            rows["observations"] = parts["observations"][end - length + i : end + i + 1]
        short = {part: value[i] for part, value in parts.items() if len(value) == len(lengths) != n}
        episodes.append(rows | short)
    return episodes


def _count_steps(parts: Mapping[str, np.ndarray]) -> int:
    """How many rows are steps: as many as there are actions or, without them, of what else has one row a step."""
    for part in ("actions", "next_observations", "rewards", *FLAGS, "episode_starts"):
        if part in parts and len(parts[part]) > 1:
            return len(parts[part])
    return len(parts["observations"]) - 1


def _padded(parts: dict[str, np.ndarray], most: int, lengths: np.ndarray | None) -> list[dict[str, Any]]:
    """Episodes of `[M, T, ...]`, with `most` as T."""
    extra = parts["observations"].shape[1] - most
    if lengths is None:  # zero rows after an episode's end, as OpenAI's baselines store them
        lengths = _filled(parts["observations"]) - extra
        lengths = np.maximum(_filled(parts["actions"]), lengths) if "actions" in parts else lengths
    if len(lengths) != len(parts["observations"]) or not 1 <= lengths.min() <= lengths.max() <= most:
        raise UserError(
            f"'episode_lengths' must be {len(parts['observations'])} numbers from 1 to {most}, found {len(lengths)} from "
            f"{lengths.min()} to {lengths.max()}."
        )
    return [
        {
            part: value[i, : length + (extra if part == "observations" else 0)] if value.ndim > 1 else value[i]
            for part, value in parts.items()
        }
        for i, length in enumerate(lengths)
    ]


def _goes_on(parts: dict[str, np.ndarray], steps: tuple[int, int]) -> tuple[int, int] | None:
    """The first row and step of `[M, T, ...]` with an end after which unended steps follow. Zero rows are padding."""
    flags = step_flags(parts, steps)
    if not flags:
        return None
    ended = np.any(flags, axis=0)
    unended = ~ended & (np.arange(steps[1]) < _filled(parts["observations"])[:, None])
    later = np.flip(np.logical_or.accumulate(np.flip(unended, 1), axis=1), 1)
    found = np.argwhere(ended[:, :-1] & later[:, 1:])
    return (int(found[0, 0]), int(found[0, 1])) if len(found) else None


def _filled(rows: np.ndarray) -> np.ndarray:
    """Of `[M, T, ...]`, by episode, the rows up to the last one that is not zero."""
    count, steps = rows.shape[:2]
    return np.where(rows.reshape(count, steps, -1).any(-1), np.arange(1, steps + 1), 0).max(1)
