"""The two pictures of a comparison: bars of normalised scores, and learning curves.

Drawn on `Figure` objects, never on pyplot's global state: no window, no display needed, and a notebook's own figures
are left alone. Shape letters: `S` seeds, `P` points of a curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory
from numpy.typing import ArrayLike

from rlopt.checkpoint import atomic_file
from rlopt.statistics import iqm, stratified_bootstrap_ci

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = {"sac": "#0072B2", "ipmd": "#D55E00", "bc": "#009E73"}
_OTHER_COLOURS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000")
NAMES = {"sac": "SAC", "ipmd": "IPMD", "bc": "BC"}
_GREY = "#555555"
STYLE: Any = {
    "font.size": 12,
    "axes.labelsize": 12,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
# A score beyond these is cut off and written out, so that one bad method does not flatten the others.
_LOWEST_SCORE, _HIGHEST_SCORE = -0.75, 2.0


@dataclass(frozen=True)
class Curve:
    """One method's evaluations during training."""

    x: ArrayLike
    """`[P]` frames or epochs; a single point is drawn as a level line."""
    values: ArrayLike
    """`[P, S]` mean returns (or losses)."""
    x_label: str = "Frames per seed"
    """Curves with the same label share a panel."""
    loss: Curve | None = None
    """The training loss, positive, for a panel of its own."""


def save_figure(figure: Figure, path: Path | str) -> None:
    """Writes a PNG (150 dots an inch), whole or not at all.

    Raises:
        UserError: the folder cannot be written to.
    """
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=150)


def comparison_figure(results: Mapping[str, Any], path: Path | str) -> Figure:
    """Bars of the normalised interquartile mean with its 95% interval, each seed a dot; written to `path`.

    Args:
        results: as in `results.json` (DESIGN section 5); an interval may hold NaN or None, and is then not drawn.
        path: the PNG.

    Raises:
        UserError: the folder cannot be written to.
    """
    methods = results["methods"]
    names = [name for name in NAMES if name in methods] + [name for name in methods if name not in NAMES]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6 + 1.7 * len(names), 5.0), layout="constrained")
        axes = figure.subplots()
        scores = {name: _floats(methods[name]["normalized_per_seed"]) for name in names}
        low, high = _score_limits(np.concatenate([*scores.values(), [0.0, 1.0]]))
        axes.set_ylim(low, high)
        axes.set_xlim(-0.6, len(names) - 0.4)
        _reference_line(axes, 1.0, f"expert\n{_signed(results['expert_return'])}", "--")
        _reference_line(axes, 0.0, f"random\n{_signed(results['random_return'])}", "-")
        for place, name in enumerate(names):
            _score_bar(axes, place, methods[name], scores[name], _colour(name, place))
        axes.set_xticks(range(len(names)), [_tick_label(name, methods[name]) for name in names])
        axes.tick_params(axis="x", length=0, pad=6)
        axes.set_ylabel("Normalised score, IQM with 95% interval\n(return − random) / (expert − random)")
        axes.set_title(
            f"{results['env']}: {counted(results['demonstrations'], 'demonstration')}, "
            f"{counted(len(results['seeds']), 'seed')}",
            pad=14,
        )
        save_figure(figure, path)
    return figure


def learning_curves_figure(
    curves: Mapping[str, Curve], *, expert_return: float, random_return: float, env_id: str, path: Path | str
) -> Figure:
    """Returns during training: interquartile mean over the seeds, its 95% interval, each seed thin; goes to `path`.

    One panel for each x label (frames, epochs) and one for each method with a loss.

    Args:
        curves: method to curve.
        expert_return: the level of the dashed line.
        random_return: the level of the dotted line.
        env_id: for the title.
        path: the PNG.

    Raises:
        UserError: the folder cannot be written to.
    """
    labels = list(dict.fromkeys(curve.x_label for curve in curves.values()))
    losses = [name for name, curve in curves.items() if curve.loss is not None]
    widths = [1.7] + [1.0] * (len(labels) + len(losses) - 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 3.4 * sum(widths), 4.4), layout="constrained")
        panels = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr,call-arg]  # else tick labels touch
        limits = _return_limits(curves.values(), expert_return, random_return)
        for panel, label in zip(panels, labels, strict=False):
            for place, (name, curve) in enumerate(curves.items()):
                if curve.x_label == label:
                    _curve(panel, name, curve.x, curve.values, _colour(name, place))
            panel.set_ylim(*limits)
            last = label == labels[-1]  # the panels share their returns, so that one set of labels does
            _reference_line(panel, expert_return, "expert" if last else "", "--")
            _reference_line(panel, random_return, "random" if last else "", ":")
            panel.tick_params(labelleft=label == labels[0])
            panel.set_xlabel(label)
            lines, shown = panel.get_legend_handles_labels()
            if len(lines) > 1:
                # Above the panel, where no curve can run through it.
                panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(lines), borderaxespad=0.3)
            else:
                panel.set_title(shown[0])
        panels[0].set_ylabel("Return")
        for panel, name in zip(panels[len(labels) :], losses, strict=True):
            loss = curves[name].loss
            assert loss is not None
            _curve(panel, name, loss.x, loss.values, _colour(name, list(curves).index(name)))
            _log_scale(panel)
            panel.set_xlabel(loss.x_label)
            panel.set_title(f"{_name(name)} loss")
        for panel in panels:
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        figure.suptitle(f"{env_id}: {_spread(curves.values())}", fontsize=13)
        save_figure(figure, path)
    return figure


def _score_bar(axes: Axes, place: int, method: Mapping[str, Any], scores: np.ndarray, colour: str) -> None:
    low, high = axes.get_ylim()
    centre = float(_floats([method["normalized_iqm"]])[0])
    axes.bar(place, centre, width=0.62, color=colour, alpha=0.55, linewidth=0)
    interval = _floats(method["normalized_ci95"])
    if np.isfinite(interval).all() and math.isfinite(centre):
        reach = np.abs(interval - centre)[:, None]
        axes.errorbar(place, centre, yerr=reach, color="black", capsize=6, capthick=1.5, elinewidth=1.5, zorder=6)
    # Dots side by side in the order of the seeds, the same in every picture.
    offsets = np.linspace(-0.2, 0.2, len(scores)) if len(scores) > 1 else np.zeros(1)
    inside = (scores >= low) & (scores <= high)
    dots: Any = {"color": colour, "edgecolor": "white", "linewidth": 0.8, "zorder": 5}
    axes.scatter(place + offsets[inside], scores[inside], s=42, **dots)
    for below, edge, marker, align, step in ((True, low, "v", "bottom", 12), (False, high, "^", "top", -12)):
        cut = scores < low if below else scores > high
        if cut.any():
            axes.scatter(place + offsets[cut], np.full(cut.sum(), edge), s=60, marker=marker, clip_on=False, **dots)
            ends = [_signed(round(value, 1)) for value in (scores[cut].min(), scores[cut].max())]
            axes.annotate(
                "cut off: " + " to ".join(dict.fromkeys(ends)),
                (place, edge),
                xytext=(0, step),
                textcoords="offset points",
                ha="center",
                va=align,
                fontsize=10,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
                zorder=7,
            )


def _curve(axes: Axes, name: str, x: ArrayLike, values: ArrayLike, colour: str) -> None:
    points, table = _floats(x), _floats(values)  # [P], [P, S]
    table = table.reshape(len(points), -1)
    middle = iqm(table, axis=1)
    low, high = np.array([stratified_bootstrap_ci(row, resamples=2000) for row in table]).T  # NaN for one seed
    label = _name(name)
    if len(points) == 1:
        axes.axhline(middle[0], color=colour, linewidth=2.2, label=f"{label} (final)")
        if table.shape[1] > 1:
            axes.axhspan(low[0], high[0], color=colour, alpha=0.2, linewidth=0)
        return
    axes.plot(points, table, color=colour, alpha=0.35, linewidth=0.7)
    axes.fill_between(points, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(points, middle, color=colour, linewidth=2.2, label=label)
    axes.set_xlim(0, max(float(np.max(np.asarray(line.get_xdata()))) for line in axes.lines))  # the longest curve


def _log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    within_two_decades = high < 100 * low
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if within_two_decades else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _reference_line(axes: Axes, level: float, text: str, style: str) -> None:
    axes.axhline(level, color=_GREY, linestyle=style, linewidth=1.2, zorder=3)
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    axes.text(1.01, level, text, transform=beside, color=_GREY, va="center", ha="left", fontsize=10.5)


def _score_limits(scores: np.ndarray) -> tuple[float, float]:
    finite = scores[np.isfinite(scores)]
    low, high = max(finite.min(), _LOWEST_SCORE), min(finite.max(), _HIGHEST_SCORE)
    return (low - 0.08 if low < 0 else 0.0), high + 0.08


def _return_limits(curves: Any, expert_return: float, random_return: float) -> tuple[float, float]:
    """What the curves span, but at most the expert's lead below random and as much above the expert."""
    every = np.concatenate([_floats(curve.values).reshape(-1) for curve in curves])
    every = np.append(every[np.isfinite(every)], [expert_return, random_return])
    lead = abs(expert_return - random_return)
    low = max(every.min(), min(expert_return, random_return) - lead)
    high = min(every.max(), max(expert_return, random_return) + lead)
    margin = 0.05 * (high - low) or 1.0  # everyone may score the same
    return low - margin, high + margin


def _tick_label(name: str, method: Mapping[str, Any]) -> str:
    centre, mean = _floats([method["normalized_iqm"], method["return_mean"]])
    low, high = _floats(method["normalized_ci95"])
    interval = f" [{low:.2f}, {high:.2f}]" if math.isfinite(low) and math.isfinite(high) else ""
    return f"{_name(name)}\n{centre:.2f}{interval}\nreturn {_signed(mean)}".replace("-", "−")


def _spread(curves: Any) -> str:
    counts = sorted({_floats(curve.values).reshape(len(_floats(curve.x)), -1).shape[1] for curve in curves})
    seeds = " or ".join(counted(count, "seed") for count in counts)
    return f"IQM over {seeds}, 95% interval" if counts[-1] > 1 else seeds


def _floats(values: Any) -> np.ndarray:
    """A float array in which JSON's null is NaN."""
    return np.asarray(values, dtype=np.float64)


def _signed(value: float) -> str:
    return f"{value:.0f}".replace("-", "−") if abs(value) >= 100 else f"{value:.3g}".replace("-", "−")


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 seed", "5 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _name(name: str) -> str:
    return NAMES.get(name, name)


def _colour(name: str, place: int) -> str:
    return COLOURS.get(name, _OTHER_COLOURS[place % len(_OTHER_COLOURS)])
