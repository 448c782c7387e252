"""Several policies side by side in one GIF. A program of its own, without torch: drawing can hang, or end a process.

    python -m rlopt.play.side_by_side JOB.json OUT.gif

The job is a JSON object: the fields of `Job`.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError
from rlopt.export.formats import run_arrays
from rlopt.play.episodes import Stage
from rlopt.play.video import Gif, save_film, shrink

PANEL = 220
"""Height and width of a panel's picture."""
LABEL = 34
"""Height of the words over it."""
COLUMNS = 4
"""Panels in a row."""
FILM_SECONDS, FILM_RATE = 6.0, 12.0
FEWEST_FRAMES = 6
"""With fewer there is no film."""


@dataclass(frozen=True)
class Job:
    """What is to be filmed."""

    env: Mapping[str, Any]
    """Id, keyword arguments, time limit and `starts_alike`, as `EnvSpec` has them."""
    panels: Sequence[Sequence[str]]
    """Title and file (`scripts/export_policy.py --format numpy`) of each policy."""
    reset_seed: int
    seconds: float
    """After which the film ends early: a processor that draws slowly shows less."""


class Panel:
    """One policy's episode, its return so far, and what is to be seen of it."""

    def __init__(self, title: str, policy: Mapping[str, np.ndarray], job: Job):
        sizes = len(policy["observation_mean"]), len(policy["action_low"])
        spec = EnvSpec(
            action_low=policy["action_low"],
            action_high=policy["action_high"],
            observation_size=sizes[0],
            action_size=sizes[1],
            **job.env,
        )
        self.title, self.total, self.length, self.over = title, 0.0, 0, False
        self.stage = Stage(spec, plain=True, size=PANEL)
        width = policy["action_high"] - policy["action_low"]
        self.steps = self.stage.play(
            lambda observation: 2 * (run_arrays(policy, observation) - policy["action_low"]) / width - 1, job.reset_seed
        )
        self.picture: np.ndarray | None = None

    def advance(self, steps: int) -> None:
        """So many steps on, or to the end of the episode."""
        for step in islice(self.steps, steps):
            self.total += step.reward
            self.length += 1
            self.over = step.terminated or step.truncated
            self.picture = None

    def image(self) -> Any:
        """The picture of now under title and return."""
        from PIL import Image, ImageDraw, ImageFont

        if self.picture is None:
            self.picture = self.stage.picture()
        whole = Image.new("RGB", (PANEL, PANEL + LABEL), "white")
        whole.paste(shrink(Image.fromarray(self.picture), PANEL, PANEL), (0, LABEL))
        draw, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
        draw.text((5, 1), self.title, "black", font)
        ended = f", over at step {self.length}" * self.over
        draw.text((5, 17), f"return {self.total:.1f}{ended}", "#555555", font)
        return whole


def frames(panels: Sequence[Panel], steps: int, most: int, seconds: float) -> Iterator[np.ndarray]:
    """Pictures of all panels, `steps` steps apart, until all are over, there are `most`, or the time is."""
    from PIL import Image

    until = math.inf
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    for _ in range(most):
        whole = Image.new("RGB", (columns * PANEL, rows * (PANEL + LABEL)), "white")
        for index, panel in enumerate(panels):
            whole.paste(panel.image(), (index % columns * PANEL, index // columns * (PANEL + LABEL)))
        yield np.asarray(whole)
        until = min(until, monotonic() + seconds)  # the first one takes longer: what draws is made then
        if all(panel.over for panel in panels) or monotonic() > until:
            return
        for panel in panels:
            panel.advance(steps)


def film(job: Job, path: Path) -> None:
    """Write the film. Raises UserError if the environment cannot be made or drawn, or too slowly."""
    panels = [Panel(title, dict(np.load(file, allow_pickle=False)), job) for title, file in job.panels]
    steps = max(1, round(panels[0].stage.rate / FILM_RATE))
    gif = Gif(panels[0].stage.rate / steps, width=COLUMNS * PANEL)
    for frame in frames(panels, steps, round(FILM_SECONDS * FILM_RATE), job.seconds):
        gif.add(frame)
    for panel in panels:
        panel.stage.close()
    if len(gif.images) < FEWEST_FRAMES:
        raise UserError("Pictures are drawn too slowly here for a film.")
    save_film(path, gif)


if __name__ == "__main__":
    try:
        film(Job(**json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2]))
    except UserError as error:
        sys.exit(str(error))
