"""Figures of the studies: score against the number of demonstrations, and one bar per ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlopt.plots import COLOURS, NAMES, STYLE, save_figure

SCORE_LABEL = "Normalised score, IQM with 95% interval"


def study_figure(
    methods: Mapping[str, Sequence[Mapping[str, Any]]],
    ticks: Sequence[str],
    *,
    title: str,
    x_label: str,
    path: Path | str,
) -> Figure:
    """A line per method through its cells: interquartile mean, 95% interval, each seed a dot.

    Args:
        methods: by method ("ipmd"), one cell per tick with `normalized_iqm`, `normalized_ci95`, `normalized_per_seed`.
        ticks: what the cells stand for.
        title: above the axes.
        x_label: below them.
        path: the PNG.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        _reference_lines(axes)
        for shift, (name, cells) in zip((-0.06, 0.06, 0.18), methods.items(), strict=False):
            places = np.arange(len(cells)) + shift
            middle = [cell["normalized_iqm"] for cell in cells]
            axes.plot(places, middle, color=COLOURS[name], linewidth=2, marker="o", label=NAMES[name], zorder=3)
            for place, cell in zip(places, cells, strict=True):
                axes.plot([place] * 2, cell["normalized_ci95"], color=COLOURS[name], linewidth=3, alpha=0.5)
                scores = cell["normalized_per_seed"]
                axes.plot([place] * len(scores), scores, "o", color=COLOURS[name], markersize=3.5, alpha=0.45)
        axes.set_xticks(range(len(ticks)), ticks)
        axes.set_xlabel(x_label)
        axes.set_ylabel(SCORE_LABEL)
        axes.set_title(title)
        axes.legend(loc="lower right")
        save_figure(figure, path)
    return figure


def ablation_figure(cells: Mapping[str, Mapping[str, Any]], *, title: str, path: Path | str) -> Figure:
    """A horizontal bar per ablation with its interval and seeds, and the reward's correlation written at the side.

    Args:
        cells: by name, with `normalized_iqm`, `normalized_ci95`, `normalized_per_seed` and `pearson`.
        title: above the axes.
        path: the PNG.
    """
    names = list(cells)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 1.4 + 0.42 * len(names)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(1, color="#555555", linestyle="--", linewidth=1.2)
        for row, name in enumerate(names):
            cell = cells[name]
            colour = COLOURS["ipmd"]
            axes.barh(row, cell["normalized_iqm"], color=colour, alpha=0.9 if name == "default" else 0.45, height=0.62)
            axes.plot(cell["normalized_ci95"], [row] * 2, color="black", linewidth=1.8)
            scores = cell["normalized_per_seed"]
            axes.plot(scores, [row] * len(scores), "o", color=colour, markersize=4.5, markeredgecolor="white")
            text = f"{cell['normalized_iqm']:.2f}   r = {cell['pearson']:.2f}"
            axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        lowest = min(min(cell["normalized_per_seed"]) for cell in cells.values())
        axes.set_xlim(min(0.0, max(lowest, -0.5)), 1.1)
        axes.set_xlabel(f"{SCORE_LABEL}; r: learned against true reward")
        axes.set_title(title)
        save_figure(figure, path)
    return figure


def _reference_lines(axes: Axes) -> None:
    for level, text in ((1.0, "expert"), (0.0, "random")):
        axes.axhline(level, color="#555555", linestyle="--", linewidth=1.2)
        axes.annotate(text, (1.01, level), xycoords=("axes fraction", "data"), va="center", color="#555555")
