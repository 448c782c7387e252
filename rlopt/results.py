"""The results of a comparison: the numbers of `results.json`, the table of `results.txt`, the two pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlopt import plots, statistics
from rlopt.checkpoint import write_text_atomically
from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.runlog import format_seconds, library_versions, to_json

UNITS = {"sac": "frames", "ipmd": "frames", "bc": "epochs"}


def method_results(stage: Mapping[str, Any], unit: str, data: Demonstrations) -> dict[str, Any]:
    """One method's entry of `results.json` from its stage's summary."""
    return {
        **score_summary(np.asarray(stage["returns"]).mean(1), data),
        unit: stage["history"]["x"][-1],
        "wall_seconds": stage["wall_seconds"],
    }


def score_summary(per_seed: np.ndarray, data: Demonstrations) -> dict[str, Any]:
    """Returns and scores of seeds with mean returns `[S]`; scores are NaN where the expert is no better than random."""
    try:
        scores = statistics.normalized_score(
            per_seed, random_return=data.random_return, expert_return=data.expert_return
        )
    except UserError:
        scores = np.full(len(per_seed), np.nan)
    return {
        "return_per_seed": per_seed.tolist(),
        "return_mean": float(per_seed.mean()),
        "normalized_per_seed": scores.tolist(),
        "normalized_iqm": statistics.iqm(scores),
        "normalized_ci95": list(statistics.stratified_bootstrap_ci(scores)),
    }


def comparison_results(
    stages: Mapping[str, Mapping[str, Any]],
    *,
    env_id: str,
    device: str,
    seeds: Sequence[int],
    demonstrations: int,
    data: Demonstrations,
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `results.json` from the stages' summaries, by method."""
    recovery = stages["ipmd"]["reward_recovery"]
    return {
        "env": env_id,
        "device": device,
        "seeds": list(seeds),
        "demonstrations": demonstrations,
        "expert_return": data.expert_return,
        "random_return": data.random_return,
        "methods": {name: method_results(stage, UNITS[name], data) for name, stage in stages.items()},
        "reward_recovery": recovery,
        "versions": library_versions(),
        "config": dict(config),
    }


def results_table(results: Mapping[str, Any]) -> str:
    """The table of `results.txt`: one row a method, and how the numbers were made."""
    header = ("Method", "Return", "Score (IQM)", "95% interval", "Worst seed", "Trained for", "Demos", "Wall time")
    rows = [header]
    for name, method in results["methods"].items():
        low, high = method["normalized_ci95"]
        unit = UNITS[name]
        rows.append(
            (
                plots.NAMES[name],
                f"{method['return_mean']:.1f}",
                f"{method['normalized_iqm']:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{min(method['normalized_per_seed']):.3f}",
                f"{method[unit]:,} {unit}",
                "-" if name == "sac" else str(results["demonstrations"]),
                format_seconds(method["wall_seconds"]),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    table = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
    seeds = ", ".join(map(str, results["seeds"]))
    recovery = results["reward_recovery"]
    lines = [
        f"{results['env']} on {results['device']}; seeds {seeds}; "
        f"{plots.counted(results['demonstrations'], 'demonstration')}",
        "",
        table,
        "",
        f"expert's return {results['expert_return']:.1f}, random policy's {results['random_return']:.1f}; "
        "score = (return - random) / (expert - random)",
        "IQM: interquartile mean over seeds; interval: stratified bootstrap over seeds; frames count per seed",
        "every policy is deterministic and plays the same start states on the true reward",
    ]
    if not results["expert_return"] > results["random_return"]:
        lines.append("the expert is no better than random, so scores mean nothing: raise --expert-frames")
    if recovery is not None:
        lines.append(
            f"learned against true reward on fresh policy data: Pearson correlation {recovery['pearson']:.3f}, "
            f"standardised error {recovery['standardized_error']:.3f}"
        )
    return "\n".join(lines) + "\n"


def learning_curves(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, plots.Curve]:
    """Return against frames or epochs, and BC's loss, from the stages' summaries."""
    curves = {}
    for name, stage in stages.items():
        history = stage["history"]
        loss = None
        if name == "bc":
            values = history["losses"]["bc_loss"]
            loss = plots.Curve(range(1, len(values) + 1), values, "Epochs")
        label = "Epochs" if name == "bc" else "Frames per seed"
        curves[name] = plots.Curve(history["x"], history["returns"], label, loss)
    return curves


def write_comparison(results: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]], directory: Path) -> None:
    """Write `results.json`, `results.txt`, `comparison.png` and `learning_curves.png`, each whole or not at all."""
    write_text_atomically(directory / "results.json", json.dumps(to_json(results), indent=2) + "\n")
    write_text_atomically(directory / "results.txt", results_table(results))
    plots.comparison_figure(results, directory / "comparison.png")
    plots.learning_curves_figure(
        learning_curves(stages),
        expert_return=results["expert_return"],
        random_return=results["random_return"],
        env_id=results["env"],
        path=directory / "learning_curves.png",
    )
