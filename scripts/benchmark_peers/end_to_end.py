"""Step 4 as a user runs it, in this build and in others, from an empty cache of compiled code."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SCRIPT = Path("scripts") / "04_compare_methods.py"
QUICK_FLAGS = ("--expert-frames", "2000", "--ipmd-frames", "2000", "--bc-epochs", "1", "--num-seeds", "2")


def measure_comparison(builds: Sequence[Path], rounds: int, *, quick: bool) -> list[dict[str, Any]]:
    """Seconds of a comparison on Pendulum-v1, by build (a checkout of rlopt), in turn."""
    rows: list[dict[str, Any]] = [{"build": str(build), "seconds": []} for build in builds]
    for _ in range(rounds):
        for build, row in zip(builds, rows, strict=True):
            row["seconds"].append(seconds_of(build, QUICK_FLAGS if quick else ()))
    return rows


def seconds_of(build: Path, flags: Sequence[str]) -> float:
    """Of one comparison, in a folder of its own. Raises CalledProcessError if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPATH": str(build), "TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiled"}
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, str(build / SCRIPT), "--no-wandb", "--device", "cpu", *flags],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - began


class BusyProcesses:
    """That many other processes that compute, while a `with` block runs."""

    def __init__(self, count: int):
        self.count = count
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> None:
        self.processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(self.count)]

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def comparison_table(rows: list[dict[str, Any]]) -> Iterator[Sequence[object]]:
    """Medians, and how many times as fast as the last build."""
    medians = [sorted(row["seconds"])[len(row["seconds"]) // 2] for row in rows]
    yield "", "rounds", "seconds", "times as fast as the last"
    for row, seconds in zip(rows, medians, strict=True):
        yield row["build"], len(row["seconds"]), f"{seconds:.0f}", f"{medians[-1] / seconds:.2f}"
