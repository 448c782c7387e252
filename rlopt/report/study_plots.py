"""Figures of the studies: score against the number of demonstrations, and one bar per ablation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rlopt.agents.methods import METHODS
from rlopt.report.plots import GREY, RETURN_LABEL, SCORE_LABEL, appearance, drawing, reference_line, scores_or_returns
from rlopt.report.statistics import shown


def study_figure(
    methods: Mapping[str, Sequence[Mapping[str, Any]]],
    ticks: Sequence[str],
    *,
    title: str,
    x_label: str,
    path: Path | str,
    scored: bool = True,
) -> Figure:
    """A line per method through its cells, one per tick: interquartile mean, 95% interval, each seed a dot.

    A cell is as of `score_summary`; without `scored`, the returns are drawn.
    """
    with drawing(path, 6.4, 4.4) as figure:
        axes = figure.subplots()
        for level, text in ((1.0, "expert"), (0.0, "random")) if scored else ():
            reference_line(axes, level, text, "--")
        for number, (name, (label, colour)) in enumerate(appearance(methods).items()):
            cells = methods[name]
            places = np.arange(len(cells)) + 0.12 * number - 0.06  # side by side
            numbers = [scores_or_returns(cell, scored) for cell in cells]
            axes.plot(
                places, [centre for centre, *_ in numbers], color=colour, linewidth=2, marker="o", label=label, zorder=5
            )
            for place, (_, interval, scores) in zip(places, numbers, strict=True):
                axes.plot([place] * 2, interval, color=colour, linewidth=3, alpha=0.5, zorder=4)
                axes.plot([place] * len(scores), scores, "o", color=colour, markersize=3.5, alpha=0.45, zorder=4)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set(xlabel=x_label, ylabel=SCORE_LABEL if scored else RETURN_LABEL, title=title)
        axes.legend(loc="lower right")
    return figure


def ablation_figure(
    cells: Mapping[str, Mapping[str, Any]], *, title: str, path: Path | str, scored: bool = True
) -> Figure:
    """A horizontal bar per ablation of IPMD with its interval and seeds; the reward's correlation is written beside it.

    `cells` and `scored` are as of `study_figure`, by name and with `pearson`.
    """
    colour = METHODS["ipmd"].colour
    with drawing(path, 8.0, 1.4 + 0.42 * len(cells)) as figure:
        axes = figure.subplots()
        if scored:
            axes.axvline(1, color=GREY, linestyle="--", linewidth=1.2)
        numbers = {name: scores_or_returns(cell, scored) for name, cell in cells.items()}
        for row, (name, cell) in enumerate(cells.items()):
            middle, interval, scores = numbers[name]
            axes.barh(row, middle, color=colour, alpha=0.9 if name == "default" else 0.45, height=0.62)
            axes.plot(interval, [row] * 2, color="black", linewidth=1.8)
            axes.plot(scores, [row] * len(scores), "o", color=colour, markersize=4.5, markeredgecolor="white")
            text = f"{middle:.2f}   r = {shown(cell['pearson'], 2)}"
            axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center")
        axes.set_yticks(range(len(cells)), list(cells))
        axes.invert_yaxis()
        if scored:
            axes.set_xlim(min(0.0, max(min(min(scores) for *_, scores in numbers.values()), -0.5)), 1.1)
        axes.set(xlabel=f"{SCORE_LABEL if scored else RETURN_LABEL}; r: learned against true reward", title=title)
    return figure
