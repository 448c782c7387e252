"""The summaries of one method's cells, each of some of its seeds, as one summary of all seeds."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def merged_summaries(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One summary (`StageResult.summary`) of several, whose seeds follow each other; of one, itself.

    Times are summed. The demonstrations are those of the first; `directories` are the run folders of all.
    """
    if len(summaries) == 1:
        return dict(summaries[0])
    first = summaries[0]
    histories = [summary["history"] for summary in summaries]
    history = {
        **first["history"],
        "wall_seconds": sum(history["wall_seconds"] for history in histories),
        **{name: _side_by_side([history[name] for history in histories]) for name in ("returns", "success_rates")},
        "losses": {
            name: _side_by_side([history["losses"][name] for history in histories])
            for name in first["history"]["losses"]
        },
    }
    known = all(summary.get("successes") is not None for summary in summaries)
    return {
        **first,
        "returns": [row for summary in summaries for row in summary["returns"]],
        "successes": [row for summary in summaries for row in summary["successes"]] if known else None,
        "directories": [summary["directory"] for summary in summaries],
        "history": history,
        "wall_seconds": sum(summary["wall_seconds"] for summary in summaries),
        "reward_recovery": _merged_recovery([summary["reward_recovery"] for summary in summaries]),
    }


def _side_by_side(tables: Sequence[list[list[float]]]) -> list[list[float]]:
    """Tables `[P][S]` of some seeds each as one of all seeds."""
    return [list(itertools.chain(*rows)) for rows in zip(*tables, strict=True)]


def _merged_recovery(parts: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Measures by seed one after the other, and their means; None where a seed has none."""
    if any(part is None for part in parts):
        return None
    names = [name for name in parts[0] or () if name.endswith("_per_seed")]
    merged: dict[str, Any] = {}
    for name in names:
        values = [value for part in parts if part is not None for value in part[name]]
        merged[name.removesuffix("_per_seed")] = None if None in values else float(np.mean(values))
        merged[name] = values
    return merged
