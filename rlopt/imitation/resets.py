"""Steps in which a gymnasium vector environment resets (autoreset mode NEXT_STEP, its default), in what it recorded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from rlopt.errors import warn
from rlopt.imitation.checks import begin_with_resets, warn_of_resets


def leave_out_resets(streams: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The episodes of streams, which follow one another there, without their first steps where these are resets.

    Rewards tell (`begin_with_resets`), with observations that jump after these steps and not before them; where they do not,
    it is a warning. The observation of such a step is the last one of the episode before.

    Args:
        streams: of each environment, its episodes: arrays `[T, ...]` under the names of `episodes.NAMES`.
    """
    episodes = [episode for stream in streams for episode in stream]
    pairs = [pair for stream in streams for pair in pairwise(stream)]
    if "rewards" not in episodes[0]:
        return episodes
    rewards = [episode["rewards"].reshape(-1) for episode in (episodes[0], *(after for _, after in pairs))]
    if not begin_with_resets(rewards) or not _jump_later(pairs):
        if len(streams) > 1:  # of one, `from_episodes` sees it
            warn_of_resets(rewards)
        return episodes
    warn(
        f"{len(pairs)} steps are left out, in which a gymnasium vector environment resets: each follows an end, has a reward "
        "of 0, and the observations jump after it."
    )
    kept = []
    for stream in streams:
        for number, episode in enumerate(stream):
            own = {part: value[1:] if number and np.ndim(value) else value for part, value in episode.items()}
            if stream[number + 1 :] and "next_observations" not in own:
                own["observations"] = np.append(own["observations"], stream[number + 1]["observations"][:1], axis=0)
            if len(own["rewards"]):
                kept.append(own)
    return kept


def _jump_later(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> bool:
    """Whether observations change more in the first step of episodes than from the end of those before to it."""
    seen = [(a["observations"][-1], *b["observations"][:2]) for a, b in pairs if len(b["observations"]) > 1]
    if not seen:
        return False
    rows = np.asarray(seen, np.float64).reshape(len(seen), 3, -1)
    to_it, after_it = (np.abs(np.diff(rows, axis=1)) / (rows.std((0, 1)) + 1e-12)).mean((0, 2))
    return bool(after_it > to_it)
