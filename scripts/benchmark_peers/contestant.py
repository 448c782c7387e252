"""A contestant as the benchmark sees it: a process that trains in its turn."""

from __future__ import annotations

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


class Contestant:
    """A process that trains when it is asked to, and otherwise waits for a line on its standard input.

    Args:
        label: its name in the tables.
        module: the one of this package that it runs.
        pythons: interpreters; the first in which it starts is taken.
        settings: what it trains.
    """

    def __init__(self, label: str, module: str, pythons: Sequence[str], settings: Settings):
        self.label, self.settings = label, settings
        self.rates: list[float] = []
        """Frames per second, one a turn."""
        self.turn_frames = 0
        """Frames of a turn, summed over seeds; rounded up to whole blocks."""
        self.missing = ""
        """Why it does not take part, or no longer."""
        self.threads, self.versions = 0, dict[str, str]()
        for python in pythons:
            self._start(python, module)
            introduction = self._answer()
            if introduction is not None:
                self.threads, self.versions = introduction["threads"], introduction["versions"]
                break

    def train(self, frames: int) -> None:
        """Its turn: `frames`, rounded up to whole blocks."""
        if self.missing:
            return
        assert self.process.stdin is not None
        print(frames, file=self.process.stdin, flush=True)
        answer = self._answer()
        if answer is not None:
            self.rates.append(answer["frames"] / answer["seconds"])

    def close(self) -> None:
        """End the process, by closing its standard input."""
        self.process.communicate()

    def row(self) -> dict[str, Any]:
        """Its result."""
        shared = {"contestant": self.label, **asdict(self.settings)}
        if self.missing:
            return shared | {"missing": self.missing}
        return shared | {"threads": self.threads, "versions": self.versions, "frames_per_second": self.rates}

    def _start(self, python: str, module: str) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        paths = [str(SCRIPTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [python, "-m", f"{__package__}.{module}", json.dumps(asdict(self.settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=tempfile.gettempdir(),  # MuJoCo writes a log where it stands
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
        self.missing = ""

    def _answer(self) -> dict[str, Any] | None:
        """Its next answer; None, and the reason in `missing`, if it is no more."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        words = [text.strip() for text in self.errors if text.strip()]
        self.missing = words[-1] if words else f"ended with code {self.process.returncode}"
        return None
