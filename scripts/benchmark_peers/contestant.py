"""A contestant as the benchmark sees it: a process that trains in its turn."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .settings import Settings

SCRIPTS = Path(__file__).resolve().parents[1]
WARM_UP_FRAMES = 64
"""Of a turn before the rounds, over all seeds."""


class Contestant:
    """A process that trains when it is asked to, and otherwise waits for a line on its standard input.

    Args:
        label: its name in the tables.
        module: the one of this package that it runs.
        pythons: interpreters; the first in which it starts is taken.
        settings: what it trains.
    """

    def __init__(self, label: str, module: str, pythons: Sequence[str], settings: Settings):
        self.about: dict[str, Any] = {"contestant": label, **asdict(settings)}
        self.introduction: dict[str, Any] = {}  # threads and versions
        self.rates: list[float] = []  # frames per second, one a turn
        self.turn_frames = 0  # of a turn, summed over seeds; rounded up to whole blocks
        self.missing = ""  # why it does not take part, or no longer
        paths = [str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        for python in pythons:
            self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
            self.process = subprocess.Popen(
                [python, "-m", __package__, module, json.dumps(asdict(settings))],
                **pipes,
                stderr=self.errors,
                cwd=tempfile.gettempdir(),  # MuJoCo writes a log where it stands
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )
            self.introduction = self._answer()
            if self.introduction:
                break

    def train(self, frames: int) -> None:
        """Its turn: `frames`, rounded up to whole blocks."""
        if self.missing:
            return
        print(frames, file=self.process.stdin, flush=True)
        if answer := self._answer():
            self.rates.append(answer["frames"] / answer["seconds"])

    def warm_up(self, turn_seconds: float) -> None:
        """Fill caches (JAX compiles at the first update, and again at the second); a turn then takes about `turn_seconds`."""
        for _ in range(2):
            self.train(WARM_UP_FRAMES)
        self.turn_frames = int(turn_seconds * (self.rates or [0])[-1])
        self.rates.clear()

    def close(self) -> None:
        """End the process, by closing its standard input."""
        self.process.communicate()

    def row(self) -> dict[str, Any]:
        """Its result."""
        if self.missing:
            return self.about | {"missing": self.missing}
        return self.about | self.introduction | {"frames_per_second": self.rates}

    def _answer(self) -> dict[str, Any]:
        """Its next answer; empty, and the reason in `missing`, if it is no more."""
        assert self.process.stdout is not None
        self.missing = ""
        if line := self.process.stdout.readline():
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        words = [text.strip() for text in self.errors if text.strip()]
        self.missing = words[-1] if words else f"ended with code {self.process.returncode}"
        return {}
