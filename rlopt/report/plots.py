"""The two pictures of a comparison: bars of normalised scores, and learning curves.

Drawn on `Figure` objects, never on pyplot's global state: no display is needed, and a notebook's figures are left alone.
Every figure is written as a PNG, whole or not at all, and raises UserError where it cannot be written; with a path of None it
is returned alone, for a notebook to show. Shape letters: `S` seeds, `P` points of a curve.
"""

from __future__ import annotations

import io
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter
from numpy.typing import ArrayLike

from rlopt.agents.methods import METHODS
from rlopt.logs.files import atomic_file
from rlopt.report.scores import counted
from rlopt.report.statistics import iqm, stratified_bootstrap_ci

GREY = "#555555"
SCORE_LABEL = "Normalised score, IQM with 95% interval"
RETURN_LABEL = "Return, IQM with 95% interval"
X_LABELS = {"frames": "Frames per seed", "epochs": "Epochs"}
STYLE: Any = {
    "axes.titlesize": "medium",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
# For names that are not in METHODS; of Okabe and Ito's palette, which colour-blind readers can tell apart, and a light grey.
_SPARE_COLOURS = ("#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
# Scores beyond these are cut off and written out, so that one bad method does not flatten the others.
_LOWEST_SCORE, _HIGHEST_SCORE = -0.75, 2.0


@dataclass(frozen=True)
class Curve:
    """One method's evaluations during training."""

    x: ArrayLike
    """`[P]` frames or epochs; a single point is drawn as a level line."""
    values: ArrayLike
    """`[P, S]` mean returns (or losses)."""
    x_label: str = X_LABELS["frames"]
    """Curves with the same label share a panel."""
    loss: Curve | None = None
    """The training loss, for a panel of its own."""


def appearance(names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Title and colour by name: methods in the order of METHODS, then other names as they are, in colours that are left."""
    known = {name: (method.title, method.colour) for name, method in METHODS.items() if name in names}
    others = [name for name in names if name not in known]
    used = {colour for _, colour in known.values()}
    every = dict.fromkeys((*_SPARE_COLOURS, *(method.colour for method in METHODS.values())))
    spare = [colour for colour in every if colour not in used] or list(every)
    return known | {name: (name, spare[i % len(spare)]) for i, name in enumerate(others)}


@contextmanager
def drawing(path: Path | str | None, width: float, height: float, font_size: float = 12) -> Iterator[Figure]:
    """A figure of this size in inches, written to `path` (150 dots per inch), if there is one, when the block ends."""
    with matplotlib.rc_context(STYLE | {"font.size": font_size}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        if path is None:
            return
        with atomic_file(path) as file:
            picture = io.BytesIO()  # inside of the writers of pictures, a full disk has many faces
            figure.savefig(picture, format="png", dpi=150)
            file.write(picture.getvalue())


def comparison_figure(results: Mapping[str, Any], path: Path | str | None = None) -> Figure:
    """Bars of the normalised interquartile mean with its 95% interval, each seed a dot.

    `results` is as in `results.json` (DESIGN section 5); an interval of NaN or None is not drawn. Where the expert's or the
    random policy's return was not recorded, the bars are returns.
    """
    methods = results["methods"]
    shown = appearance(methods)
    expert, random = results["expert_return"], results["random_return"]
    scored = expert is not None and random is not None
    numbers = {name: scores_or_returns(methods[name], scored) for name in shown}
    marks = [("expert", expert, 1.0, "--"), ("random", random, 0.0, "-")]
    references = [(n, value, mark if scored else value, style) for n, value, mark, style in marks if value is not None]
    with drawing(path, 2.6 + 1.9 * len(shown), 5.0) as figure:
        axes = figure.subplots()
        levels = np.concatenate(
            [*(per_seed for *_, per_seed in numbers.values()), [level for *_, level, _ in references], [0.0]]
        )
        axes.set(xlim=(-0.6, len(shown) - 0.4), ylim=_score_limits(levels) if scored else _margins(levels))
        for name, value, level, style in references:
            reference_line(axes, level, f"{name}\n{_signed(value)}", style)
        for place, (name, (_, colour)) in enumerate(shown.items()):
            _score_bar(axes, place, *numbers[name], colour)
        labels = [_tick_label(title, methods[name], *numbers[name][:2]) for name, (title, _) in shown.items()]
        axes.set_xticks(range(len(shown)), labels)
        axes.tick_params(axis="x", length=0, pad=6)
        axes.set_ylabel(f"{SCORE_LABEL}\n(return − random) / (expert − random)" if scored else RETURN_LABEL)
        counts = counted(results["demonstrations"], "demonstration"), counted(len(results["seeds"]), "seed")
        axes.set_title(f"{results['env']}: {', '.join(counts)}", pad=14)
    return figure


def scores_or_returns(method: Mapping[str, Any], scored: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """Interquartile mean, 95% interval `[2]` and each seed's value `[S]`: of the scores, else of the returns."""
    if scored:
        return tuple(_floats(method[f"normalized_{key}"]) for key in ("iqm", "ci95", "per_seed"))  # type: ignore[return-value]
    returns = _floats(method["return_per_seed"])
    return iqm(returns), _floats(stratified_bootstrap_ci(returns)), returns


def learning_curves_figure(
    curves: Mapping[str, Curve],
    *,
    expert_return: float | None,
    random_return: float | None,
    env_id: str,
    path: Path | str | None = None,
) -> Figure:
    """Returns during training, by method: interquartile mean over the seeds, its 95% interval, each seed a thin line.

    One panel for each x label (frames, epochs) and one for each method with a loss. The expert's return is a dashed line,
    the random policy's a dotted one; None is not drawn.
    """
    shown = appearance(curves)
    labels = list(dict.fromkeys(curves[name].x_label for name in shown))
    losses = {name: loss for name in shown if (loss := curves[name].loss)}
    widths = [1.7] + [1.0] * (len(labels) + len(losses) - 1)
    with drawing(path, 1.2 + 3.4 * sum(widths), 4.4) as figure:
        panels = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
        figure.get_layout_engine().set(wspace=0.06)  # type: ignore[union-attr,call-arg]  # else tick labels touch
        limits = _return_limits(curves.values(), expert_return, random_return)
        for panel, label in zip(panels, labels, strict=False):
            for name, look in shown.items():
                if curves[name].x_label == label:
                    _curve(panel, curves[name], *look)
            panel.set(xlabel=label, ylim=limits)
            last = label == labels[-1]  # all panels of returns have the same limits: one set of labels is enough
            for level, text, style in ((expert_return, "expert", "--"), (random_return, "random", ":")):
                if level is not None:
                    reference_line(panel, level, text if last else "", style)
            panel.tick_params(labelleft=label == labels[0])
            titles = panel.get_legend_handles_labels()[1]
            if len(titles) > 1:
                _legend_above(panel, len(titles))
            else:
                panel.set_title(titles[0])
        panels[0].set_ylabel("Return")
        for panel, (name, loss) in zip(panels[len(labels) :], losses.items(), strict=True):
            _curve(panel, loss, *shown[name])
            if np.min(loss.values) > 0:
                _log_scale(panel)
            panel.set(xlabel=loss.x_label, title=f"{shown[name][0]} loss")
        for panel in panels:
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        figure.suptitle(f"{env_id}: {_spread(curves.values())}", fontsize=13)
    return figure


def _legend_above(panel: Axes, entries: int) -> None:
    """A legend above a panel, where no curve can run through it, in as many rows as it needs to be no wider."""
    for rows in range(1, entries + 1):
        columns = math.ceil(entries / rows)
        legend = panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, borderaxespad=0.3)
        if legend.get_window_extent().width <= panel.get_window_extent().width:
            return


def reference_line(axes: Axes, level: float, text: str, style: str) -> None:
    """A grey line at `level`, with `text` to the right of the axes."""
    axes.axhline(level, color=GREY, linestyle=style, linewidth=1.2, zorder=3)
    axes.annotate(text, (1.01, level), xycoords=("axes fraction", "data"), color=GREY, va="center", fontsize=10.5)


def _score_bar(axes: Axes, place: int, centre: float, interval: np.ndarray, scores: np.ndarray, colour: str) -> None:
    low, high = axes.get_ylim()
    axes.bar(place, centre, width=0.62, color=colour, alpha=0.55, linewidth=0)
    if np.isfinite([centre, *interval]).all():
        reach = np.abs(np.subtract(interval, centre))[:, None]
        axes.errorbar(place, centre, yerr=reach, color="black", capsize=6, capthick=1.5, elinewidth=1.5, zorder=6)
    # Dots side by side in the order of the seeds, the same in every picture.
    x = place + (np.linspace(-0.2, 0.2, len(scores)) if len(scores) > 1 else np.zeros(1))
    inside = (scores >= low) & (scores <= high)
    dots: Any = {"color": colour, "edgecolor": "white", "linewidth": 0.8, "zorder": 5}
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    text: Any = {"textcoords": "offset points", "ha": "center", "fontsize": 10, "bbox": box, "zorder": 7}
    axes.scatter(x[inside], scores[inside], s=42, **dots)
    for cut, edge, marker, align, step in (
        (scores < low, low, "v", "bottom", 12),
        (scores > high, high, "^", "top", -12),
    ):
        if cut.any():
            axes.scatter(x[cut], np.full(cut.sum(), edge), s=60, marker=marker, clip_on=False, **dots)
            ends = dict.fromkeys(_signed(round(value, 1)) for value in (scores[cut].min(), scores[cut].max()))
            axes.annotate("cut off: " + " to ".join(ends), (place, edge), (0, step), va=align, **text)


def _curve(axes: Axes, curve: Curve, title: str, colour: str) -> None:
    points, table = _floats(curve.x), _floats(curve.values)  # [P], [P, S]
    middle = iqm(table, axis=1)
    low, high = np.array([stratified_bootstrap_ci(row, resamples=2000) for row in table]).T  # NaN for one seed
    if len(points) == 1:
        axes.axhline(middle[0], color=colour, linewidth=2.2, label=f"{title} (final)")
        if table.shape[1] > 1:
            axes.axhspan(low[0], high[0], color=colour, alpha=0.2, linewidth=0)
        return
    axes.plot(points, table, color=colour, alpha=0.35, linewidth=0.7)
    axes.fill_between(points, low, high, color=colour, alpha=0.22, linewidth=0)
    axes.plot(points, middle, color=colour, linewidth=2.2, label=title)
    axes.set_xlim(0, max(float(np.max(np.asarray(line.get_xdata()))) for line in axes.lines))  # the longest curve


def _log_scale(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = (1, 2, 5) if high < 100 * low else (1,)  # of each decade
    axes.yaxis.set_major_locator(LogLocator(subs=ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _score_limits(scores: np.ndarray) -> tuple[float, float]:
    finite = scores[np.isfinite(scores)]
    low, high = max(finite.min(), _LOWEST_SCORE), min(finite.max(), _HIGHEST_SCORE)
    return (low - 0.08 if low < 0 else 0.0), high + 0.08


def _return_limits(
    curves: Collection[Curve], expert_return: float | None, random_return: float | None
) -> tuple[float, float]:
    """The range of the curves, cut off at `expert_return - random_return` below random and above the expert."""
    every = np.concatenate([_floats(curve.values).reshape(-1) for curve in curves])
    if expert_return is None or random_return is None:
        return _margins(np.array([*every, *(level for level in (expert_return, random_return) if level is not None)]))
    low, high = sorted((expert_return, random_return))
    every = np.clip([*every[np.isfinite(every)], low, high], low - (high - low), high + (high - low))
    return _margins(every)


def _margins(values: np.ndarray) -> tuple[float, float]:
    """The range of the finite ones, and 5% on each side."""
    finite = values[np.isfinite(values)]
    margin = 0.05 * np.ptp(finite) or 1.0  # all may be equal
    return finite.min() - margin, finite.max() + margin


def _tick_label(title: str, method: Mapping[str, Any], centre: float, interval: np.ndarray) -> str:
    digits = 0 if abs(centre) >= 100 else 2  # a return, where there are no scores
    bounds = f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if np.isfinite(interval).all() else ""
    numbers = f"{centre:.{digits}f}{bounds}\nreturn {_signed(method['return_mean'])}".replace("-", "−")
    return f"{title}\n{numbers}"


def _spread(curves: Collection[Curve]) -> str:
    counts = sorted({_floats(curve.values).shape[1] for curve in curves})
    seeds = " or ".join(counted(count, "seed") for count in counts)
    return f"IQM over {seeds}, 95% interval" if counts[-1] > 1 else seeds


def _floats(values: Any) -> np.ndarray:
    """A float array in which JSON's null is NaN."""
    return np.asarray(values, dtype=np.float64)


def _signed(value: float) -> str:
    return (f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "−")
