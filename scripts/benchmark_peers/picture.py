"""`throughput.png`: bars of whole training, and updates against the number of seeds."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, StrMethodFormatter

from rlopt.agents.methods import METHODS
from rlopt.report.plots import GREY, drawing

Row = Mapping[str, Any]
OTHER = "#B0B0B0"
OWN = {"auto": METHODS["sac"].colour, "float32": METHODS["sac"].colour, "tf32": "#2E93CC", "bfloat16": "#56B4E9"}
"""rlopt's colours, by the precision of its matrix products."""


def draw(results: Mapping[str, Any], path: Path) -> Figure | None:
    """Bars for each environment and size, and the sweep at the right; None: nothing to draw."""
    training, sweep = results.get("training", []), results.get("sweep", [])
    panels: dict[tuple, list[Row]] = {}
    for row in training:
        panels.setdefault((row["env_id"], row["width"], row["batch_size"]), []).append(row)
    if not panels and not sweep:
        return None
    # two panels stand on one another, and the sweep beside them
    height, columns = min(2, max(1, len(panels))), -(-len(panels) // 2) + bool(sweep)
    with drawing(path, 5.2 * columns, 3.6 * height, font_size=11) as figure:
        figure.get_layout_engine().set(hspace=0.06, wspace=0.04)  # type: ignore[union-attr, call-arg]
        grid = figure.add_gridspec(height, columns)
        for number, ((env_id, width, batch_size), rows) in enumerate(panels.items()):
            axes = figure.add_subplot(grid[number % 2, number // 2])
            axes.set_title(f"{env_id}, 2 x {width} units, batch {batch_size}", loc="left")
            _bars(axes, [row for row in rows if "missing" not in row])
        if sweep:
            _lines(figure.add_subplot(grid[:, -1]), sweep)
        characters = int(18 * figure.get_figwidth())  # that fit in a line
        figure.supxlabel(textwrap.fill(results["machine"], characters), fontsize=8, color=GREY)
    return figure


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Median frames per second; the line spans the slowest and the fastest round."""
    rates = np.array([row["frames_per_second"] for row in rows]).reshape(len(rows), -1)
    names, middles = [row["contestant"] for row in rows], np.median(rates, 1)
    colours = [OWN[row["matmul_precision"]] if row["contestant"].startswith("rlopt") else OTHER for row in rows]
    spread = [middles - rates.min(1), rates.max(1) - middles]
    places = range(len(rows))
    bars = axes.barh(places, middles, 0.7, color=colours, xerr=spread, ecolor="black", error_kw={"lw": 1})
    axes.bar_label(bars, fmt="{:,.0f}", padding=4)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.15)
    axes.set_xlim(left=0)
    axes.set_xlabel("Frames per second, all seeds, one update each")


def _lines(axes: Axes, rows: Sequence[Row]) -> None:
    """Updates per second summed over seeds, for the smallest and the largest networks and batches."""
    precision = rows[0]["precision"]
    rows = [row for row in rows if row["precision"] == precision and row["width"] == row["batch_size"]]
    for width, style in zip(sorted({row["width"] for row in rows}), ("--", "-"), strict=False):
        own = [row for row in rows if row["width"] == width]
        seeds = [row["num_seeds"] for row in own]
        for name in ("sac", "ipmd", "bc"):
            rates = [row["num_seeds"] / median(row[f"{name}_seconds"]) for row in own]
            colour, end = METHODS[name].colour, (seeds[-1], rates[-1])
            axes.plot(seeds, rates, style, marker="o", markersize=4, color=colour)
            how: dict[str, Any] = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
            axes.annotate(f"{name.upper()} {width}", end, (7, 0), color=colour, **how)
    axes.loglog()
    axes.set_xticks(sorted({row["num_seeds"] for row in rows}))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.set_title(f"Updates alone, {precision}, width = batch", loc="left")
    axes.set_xlabel("Seeds trained in one update")
    axes.set_ylabel("Seed-updates per second")
