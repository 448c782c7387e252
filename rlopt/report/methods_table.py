"""The tables of a study of several learners: one of each environment, and one over all of them.

Agarwal et al., NeurIPS 2021, arXiv 2108.13264: over several environments, the interquartile mean of all runs, and the
probability of improvement.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlopt.agents.methods import METHODS, Method
from rlopt.report.scores import GOOD_SCORE
from rlopt.report.statistics import improvement_ci, iqm, probability_of_improvement, shown, stratified_bootstrap_ci

Results = Mapping[str, Any]
"""The content of a comparison's `results.json`."""


def methods_tables(comparisons: Sequence[Results]) -> str:
    """Both tables in Markdown, of each environment with each number of demonstrations.

    The first method of METHODS among the learners (IPMD) is held against each of the others.
    """
    learners = _learners(comparisons)
    first = ("Score", "Area", *([f"P({learners[0].title} is better)"] if len(learners) > 1 else []))
    of_each = ("Environment", "Demos", "Method", "Trained for", f"Frames to {GOOD_SCORE}", "Worst", *first)
    rows = [row for results in comparisons for row in _rows(results, learners)]
    over_all = [row for group in _groups(comparisons) for row in _rows_over_all(group, learners)]
    notes = (
        "Score: interquartile mean of the normalised scores of all runs after training. Area: the same of the mean score "
        f"during training. Frames to {GOOD_SCORE}: from then on the score of all evaluations is at least so high. In brackets: "
        "95% intervals (stratified bootstrap). P: the chance that a run of the first method ends with a higher score."
    )
    tables = [(of_each, rows), (("Environments", "Demos", "Method", *first), over_all)]
    return "\n\n".join([*(markdown(headings, lines) for headings, lines in tables if lines), notes])


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, ["---"] * len(headings), *rows])


def _learners(comparisons: Sequence[Results]) -> list[Method]:
    """Those of any comparison, in the order of METHODS."""
    return [
        method
        for name, method in METHODS.items()
        if method.from_demonstrations and any(name in results["methods"] for results in comparisons)
    ]


def _rows(results: Results, learners: Sequence[Method]) -> Iterator[tuple[str, ...]]:
    for method in learners:
        entry = results["methods"].get(method.name)
        if entry is not None:
            reached = entry.get(f"frames_to_{GOOD_SCORE}")
            yield (
                results["env"],
                str(results["demonstrations"]),
                method.title,
                f"{entry[method.unit]:,} {method.unit}",
                f"{reached:,}" if reached else "-",
                shown(_runs([results], method, "normalized").min(), 3, "-"),
                *_measures([results], method, learners),
            )


def _groups(comparisons: Sequence[Results]) -> Iterator[list[Results]]:
    """Comparisons with as many demonstrations and seeds."""
    kinds = [(results["demonstrations"], len(results["seeds"])) for results in comparisons]
    for kind in dict.fromkeys(kinds):
        yield [results for results, own in zip(comparisons, kinds, strict=True) if own == kind]


def _rows_over_all(group: Sequence[Results], learners: Sequence[Method]) -> Iterator[tuple[str, ...]]:
    """Of the methods that every environment has, if there are several environments."""
    if len(group) > 1:
        for method in learners:
            if all(method.name in results["methods"] for results in group):
                numbers = str(len(group)), str(group[0]["demonstrations"])
                yield (*numbers, method.title, *_measures(group, method, learners))


def _measures(group: Sequence[Results], method: Method, learners: Sequence[Method]) -> Iterator[str]:
    """Score and area of a method over some environments and, beside others, the first one's chance to be better."""
    scores, areas = _runs(group, method, "normalized"), _runs(group, method, "area")
    yield _with_interval(iqm(scores), stratified_bootstrap_ci(scores), 3)
    yield _with_interval(iqm(areas), stratified_bootstrap_ci(areas), 3) if method.online else "-"
    if len(learners) > 1:
        pair = _runs(group, learners[0], "normalized"), scores
        other = method is not learners[0]
        yield _with_interval(probability_of_improvement(*pair), improvement_ci(*pair), 2) if other else "-"


def _runs(group: Sequence[Results], method: Method, kind: str) -> NDArray[np.float64]:
    """Scores or areas `[S, tasks]`; NaN where a task has none."""
    columns = [results["methods"].get(method.name, {}).get(f"{kind}_per_seed") for results in group]
    known = [column or [None] * len(results["seeds"]) for column, results in zip(columns, group, strict=True)]
    return np.array(known, dtype=np.float64).T  # None is NaN


def _with_interval(value: float, interval: tuple[float, float], digits: int) -> str:
    low, high = (shown(bound, digits, "-") for bound in interval)
    return "-" if np.isnan(value) else f"{value:.{digits}f} [{low}, {high}]"
