"""The results of a comparison: the numbers of `results.json`, the table of `results.txt`, the two pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlopt.agents.methods import METHODS
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.logs.files import write_text_atomically
from rlopt.logs.progress import format_seconds
from rlopt.logs.run_folder import library_versions, to_json
from rlopt.report import plots
from rlopt.report.scores import counted, score_summary, speed_summary, success_summary
from rlopt.report.statistics import shown


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
    """The content of `results.json` from the stages' summaries, by method: any methods of METHODS."""
    recoveries = (stage.get("reward_recovery") for stage in stages.values())
    return {
        "env": env_id,
        "device": device,
        "seeds": list(seeds),
        "demonstrations": demonstrations,
        "expert_return": data.expert_return,
        "random_return": data.random_return,
        "methods": {
            name: {
                **score_summary(np.asarray(stage["returns"]).mean(1), data),
                **success_summary(_array(stage.get("successes"))),
                **speed_summary(stage["history"], data),
                METHODS[name].unit: stage["history"]["x"][-1],
                "wall_seconds": stage["wall_seconds"],
                "reward_recovery": stage.get("reward_recovery"),
            }
            for name, stage in stages.items()
        },
        "reward_recovery": next((recovery for recovery in recoveries if recovery is not None), None),
        "versions": library_versions(),
        "config": dict(config),
    }


def _array(values: Any) -> np.ndarray | None:
    return None if values is None else np.asarray(values)


def results_rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The cells of the table, the header first and then one row per method."""
    scored = is_scored(results["expert_return"], results["random_return"])
    header = ("Method", *score_header(scored), "Trained for", "Demos", "Wall time")
    rows: list[tuple[str, ...]] = [header]
    for name, (title, _) in plots.appearance(results["methods"]).items():
        entry, method = results["methods"][name], METHODS[name]
        row = (
            title,
            *score_cells(entry, scored),
            f"{entry[method.unit]:,} {method.unit}",
            str(results["demonstrations"]) if method.from_demonstrations else "-",
            format_seconds(entry["wall_seconds"]),
        )
        rows.append(row)
    if _with_success(results):
        rates = [results["methods"][name].get("success_rate") for name in plots.appearance(results["methods"])]
        column = ["Success", *("-" if rate is None else f"{rate:.0%}" for rate in rates)]
        rows = [(*row[:2], cell, *row[2:]) for row, cell in zip(rows, column, strict=True)]
    return rows


def is_scored(expert: float | None, random: float | None) -> bool:
    """Whether there are scores between these two returns."""
    return expert is not None and random is not None


def score_header(scored: bool) -> tuple[str, ...]:
    """The headings over `score_cells`."""
    return "Return", f"{'Score' if scored else 'Return'} (IQM)", "95% interval", "Worst seed"


def score_cells(entry: Mapping[str, Any], scored: bool) -> tuple[str, ...]:
    """Return, IQM, interval and worst seed of a `score_summary`: of the scores, else of the returns."""
    centre, (low, high), per_seed = plots.scores_or_returns(entry, scored)
    digits = 3 if scored else 1
    return (
        f"{entry['return_mean']:.1f}",
        shown(centre, digits),
        "not defined" if np.isnan(low) else f"{low:.{digits}f} to {high:.{digits}f}",
        shown(min(per_seed), digits),
    )


def results_notes(results: Mapping[str, Any]) -> list[str]:
    """What stands under the table: how the numbers were made."""
    expert, random = results["expert_return"], results["random_return"]
    scored = is_scored(expert, random)
    lines = [
        f"Expert return {shown(expert, 1, 'not recorded')}, random return {shown(random, 1, 'not recorded')}; "
        + ("score = (return - random) / (expert - random)." if scored else "so there are no scores, but true returns."),
        "IQM: interquartile mean over seeds. Interval: stratified bootstrap over seeds. Frames are counted per seed.",
        "All policies act deterministically, start from the same states and are scored on the true reward.",
    ]
    if _with_success(results):
        lines.append("Success: the share of episodes that the environment calls a success, over all seeds.")
    if scored and not expert > random:
        lines.append("The expert is no better than random, so the scores mean nothing: raise --expert-frames.")
    return [*lines, *_recovery_notes(results)]


def _recovery_notes(results: Mapping[str, Any]) -> list[str]:
    """How near the learned rewards are to the true one; nothing where none was learned."""
    titles = plots.appearance(results["methods"])
    learned = {name: results["methods"][name].get("reward_recovery") for name in titles}
    found = {titles[name][0]: recovery for name, recovery in learned.items() if recovery is not None}
    if len(found) < 2:  # an earlier version's results have the first one alone
        found = {} if results["reward_recovery"] is None else {"": results["reward_recovery"]}
    return [
        f"{f'{title}: l' if title else 'L'}earned against true reward on new episodes of the policy: Pearson correlation "
        f"{shown(recovery['pearson'], 3)}, standardised error {shown(recovery['standardized_error'], 3)}."
        for title, recovery in found.items()
    ]


def results_title(results: Mapping[str, Any]) -> str:
    """What was compared, in a line."""
    return (
        f"{results['env']} on {results['device']}; seeds {', '.join(map(str, results['seeds']))}; "
        f"{counted(results['demonstrations'], 'demonstration')}"
    )


def results_table(results: Mapping[str, Any]) -> str:
    """The text of `results.txt`."""
    rows = results_rows(results)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join([results_title(results), "", *table, "", *results_notes(results)]) + "\n"


def _with_success(results: Mapping[str, Any]) -> bool:
    return any(entry.get("success_rate") is not None for entry in results["methods"].values())


def learning_curves(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, plots.Curve]:
    """Return against frames or epochs from the stages' summaries; with epochs, the loss `{name}_loss` too."""
    curves = {}
    for name, stage in stages.items():
        history, unit = stage["history"], METHODS[name].unit
        losses = history["losses"].get(f"{name}_loss") if unit == "epochs" else None
        loss = plots.Curve(range(1, len(losses) + 1), losses, plots.X_LABELS[unit]) if losses else None
        curves[name] = plots.Curve(history["x"], history["returns"], plots.X_LABELS[unit], loss)
    return curves


FILES = ("results.json", "results.txt", "comparison.png", "learning_curves.png")
"""What `write_comparison` writes."""


def write_comparison(results: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]], directory: Path) -> None:
    """Write `FILES`, each whole or not at all."""
    numbers, table, bars, curves = (directory / name for name in FILES)
    write_text_atomically(numbers, json.dumps(to_json(results), indent=2) + "\n")
    write_text_atomically(table, results_table(results))
    plots.comparison_figure(results, bars)
    plots.learning_curves_figure(
        learning_curves(stages),
        expert_return=results["expert_return"],
        random_return=results["random_return"],
        env_id=results["env"],
        path=curves,
    )
