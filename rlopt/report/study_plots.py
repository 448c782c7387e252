"""Figures of the studies: score against the number of demonstrations, and one bar per ablation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from rlopt.agents.methods import METHODS
from rlopt.report.plots import GREY, SCORE_LABEL, appearance, drawing, reference_line


def study_figure(
    methods: Mapping[str, Sequence[Mapping[str, Any]]],
    ticks: Sequence[str],
    *,
    title: str,
    x_label: str,
    path: Path | str,
) -> Figure:
    """A line per method through its cells, one per tick: interquartile mean, 95% interval, each seed a dot.

    A cell has `normalized_iqm`, `normalized_ci95` and `normalized_per_seed`, as in `results.json`.
    """
    with drawing(path, 6.4, 4.4) as figure:
        axes = figure.subplots()
        reference_line(axes, 1.0, "expert", "--")
        reference_line(axes, 0.0, "random", "--")
        for number, (name, (label, colour)) in enumerate(appearance(methods).items()):
            cells = methods[name]
            places = np.arange(len(cells)) + 0.12 * number - 0.06  # side by side
            middle = [cell["normalized_iqm"] for cell in cells]
            axes.plot(places, middle, color=colour, linewidth=2, marker="o", label=label, zorder=5)
            for place, cell in zip(places, cells, strict=True):
                scores = cell["normalized_per_seed"]
                axes.plot([place] * 2, cell["normalized_ci95"], color=colour, linewidth=3, alpha=0.5, zorder=4)
                axes.plot([place] * len(scores), scores, "o", color=colour, markersize=3.5, alpha=0.45, zorder=4)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set(xlabel=x_label, ylabel=SCORE_LABEL, title=title)
        axes.legend(loc="lower right")
    return figure


def ablation_figure(cells: Mapping[str, Mapping[str, Any]], *, title: str, path: Path | str) -> Figure:
    """A horizontal bar per ablation of IPMD with its interval and seeds; the reward's correlation is written beside it.

    `cells` are as of `study_figure`, by name and with `pearson`.
    """
    colour = METHODS["ipmd"].colour
    with drawing(path, 8.0, 1.4 + 0.42 * len(cells)) as figure:
        axes = figure.subplots()
        axes.axvline(1, color=GREY, linestyle="--", linewidth=1.2)
        for row, (name, cell) in enumerate(cells.items()):
            middle, scores = cell["normalized_iqm"], cell["normalized_per_seed"]
            axes.barh(row, middle, color=colour, alpha=0.9 if name == "default" else 0.45, height=0.62)
            axes.plot(cell["normalized_ci95"], [row] * 2, color="black", linewidth=1.8)
            axes.plot(scores, [row] * len(scores), "o", color=colour, markersize=4.5, markeredgecolor="white")
            text = f"{middle:.2f}   r = {cell['pearson']:.2f}"
            axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center")
        axes.set_yticks(range(len(cells)), list(cells))
        axes.invert_yaxis()
        lowest = min(min(cell["normalized_per_seed"]) for cell in cells.values())
        axes.set_xlim(min(0.0, max(lowest, -0.5)), 1.1)
        axes.set(xlabel=f"{SCORE_LABEL}; r: learned against true reward", title=title)
    return figure
