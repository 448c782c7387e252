"""What is in a set of demonstrations: a page for a person to check, as text and as HTML, and a picture."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rlopt.imitation.demonstrations import Demonstrations
from rlopt.report.page import Page, Picture, Section, Table
from rlopt.report.plots import GREY, drawing
from rlopt.report.scores import counted

_SHOWN_CURVES = 4


def episode_returns(data: Demonstrations) -> np.ndarray | None:
    """The return of every episode `[M]`; None where rewards were not recorded (all are zero)."""
    if not data.reward.any():
        return None
    return np.array([float(part.sum()) for part in data.reward.double().split(data.episode_lengths.tolist())])


def facts(data: Demonstrations) -> dict[str, str]:
    """What is in them, by name: each thing to look at."""
    lengths, returns = data.episode_lengths.numpy(), episode_returns(data)
    last = data.episode_lengths.cumsum(0) - 1
    terminated, truncated = int(data.terminated[last].sum()), int(data.truncated[last].sum())
    rows = np.concatenate([data.observation.numpy(), data.action.numpy()], axis=1)
    equal = 1 - len(np.unique(rows, axis=0)) / len(rows)
    still = np.flatnonzero(data.observation.numpy().std(axis=0) == 0)
    reach = ", ".join(f"{value:.3g}" for value in data.action.abs().amax(0).tolist())
    expert = "not recorded, so that results give true returns and no scores"
    if data.expert_return is not None:
        expert = f"{data.expert_return:.2f}"
    return {
        "environment": data.env_id,
        "episodes": f"{data.num_episodes}, {len(data):,} transitions, {lengths.min()} to {lengths.max()} steps each",
        "ends": f"{terminated} in a final state, {truncated} at a time limit, "
        f"{data.num_episodes - terminated - truncated} are cut off without either",
        "returns": "not recorded (all rewards are zero)"
        if returns is None
        else f"mean {returns.mean():.2f}, from {returns.min():.2f} to {returns.max():.2f}",
        "expert's return": expert,
        "random policy": "not recorded" if data.random_return is None else f"{data.random_return:.2f}",
        "actions": "not recorded, so that only a reward of states alone can be learned (IPMD; BC needs actions)"
        if not data.action_size
        else f"a in [-1, 1] is low + (a + 1) / 2 * (high - low) with low {data.action_low.tolist()}, "
        f"high {data.action_high.tolist()}; largest |a| by component: {reach}",
        "observations": f"{data.observation_size}, of which {counted(len(still), 'component')} never change"
        + (f": {still.tolist()}" if len(still) else ""),
        "equal rows": f"{equal:.1%}",
    }


def describe(data: Demonstrations) -> str:
    """The page as text: a line for each thing to look at."""
    lines = facts(data)
    width = max(map(len, lines))
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in lines.items())


def demonstrations_page(data: Demonstrations, source: str, picture: Path) -> Page:
    """The page of what was read from `source` and is drawn in `picture`, with the digest that its learners keep."""
    rows = [("source", source), *facts(data).items(), ("SHA-256", data.digest)]
    text = "Returns and lengths of all episodes; observations and actions of the first one."
    sections = [
        Section("What is in them", [Table("What was read, and checked.", rows)]),
        Section("Picture", [Picture(picture, text)]),
    ]
    title = f"{data.env_id}: {counted(data.num_episodes, 'demonstration')}"
    return Page(title, "What learns from them sees this, and nothing else of the expert.", sections)


def demonstrations_figure(data: Demonstrations, path: Path | str) -> Figure:
    """Returns, lengths, and the first episode's observations and actions; written to `path`."""
    lengths, returns = data.episode_lengths.numpy(), episode_returns(data)
    with drawing(path, 13.0, 3.6) as figure:
        panels = figure.subplots(1, 4)
        episodes = np.arange(1, data.num_episodes + 1)
        values = np.zeros(data.num_episodes) if returns is None else returns
        for panel, y, title in (
            (panels[0], values, "Return" if returns is not None else "Return: not recorded"),
            (panels[1], lengths, "Steps"),
        ):
            panel.bar(episodes, y, color=GREY, width=0.8)
            panel.set(title=title, xlabel="Episode")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        for panel, columns, title in (
            (panels[2], data.observation, "Observations"),
            (panels[3], data.action, "Actions"),
        ):
            for index in range(min(_SHOWN_CURVES, columns.shape[1])):
                panel.plot(columns[: lengths[0], index].numpy(), linewidth=1, label=str(index))
            recorded = columns.shape[1] > 0
            panel.set(title=f"{title} of the first episode" if recorded else f"{title}: not recorded", xlabel="Step")
            if recorded:
                panel.legend(title="component", fontsize=8, title_fontsize=8)
        figure.suptitle(f"{data.env_id}: {counted(data.num_episodes, 'demonstration')}")
    return figure
