"""The learned reward under the true one, along episodes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rlopt.agents.methods import METHODS
from rlopt.report.plots import GREY, drawing
from rlopt.report.statistics import pearson, shown


def rewards_figure(
    true: Sequence[np.ndarray], learned: Sequence[np.ndarray], *, title: str, path: Path | str
) -> Figure:
    """Both rewards of every step; an array `[n]` for each episode. Written to `path`.

    Each has an axis of its own: a learned reward has another unit and origin.
    """
    with drawing(path, 9.0, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        pairs = ((upper, true, GREY, "True reward"), (lower, learned, METHODS["ipmd"].colour, "Learned reward"))
        for panel, episodes, colour, label in pairs:
            values = np.concatenate(episodes)
            panel.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.5)
            panel.set_ylabel(label)
            for end in np.cumsum([len(part) for part in episodes])[:-1]:
                panel.axvline(end + 0.5, color=GREY, linewidth=0.8, linestyle=":")
        lower.set_xlabel("Step" if len(true) == 1 else f"Step of {len(true)} episodes")
        correlation = pearson(np.concatenate(learned), np.concatenate(true))
        upper.set_title(f"{title}: correlation {shown(correlation, 2)}")
    return figure
