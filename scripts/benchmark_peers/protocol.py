"""How a contestant talks to the benchmark: settings as its argument, one line per request, one JSON line per answer.

Imported by contestants alone: it takes standard output for the answers.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from .settings import Settings

# What a library prints must not end up among the answers.
_ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def given_settings() -> Settings:
    """What this process is to train."""
    return Settings(**json.loads(sys.argv[1]))


def answer(**values: Any) -> None:
    """One JSON line to the benchmark."""
    print(json.dumps(values), file=_ANSWERS, flush=True)


def introduce(threads: int, *packages: str) -> None:
    """Say that training is under way, with how many threads, and with which versions."""
    answer(threads=threads, versions={name: importlib.metadata.version(name) for name in packages})


def requests() -> Iterator[int]:
    """Frames to train for, asked for one chunk at a time; waits without a spin, ends with the benchmark."""
    for line in sys.stdin:
        yield int(line)


def serve(train: Callable[[int], int], threads: int, *packages: str) -> None:
    """Answer every request with the time that `train(frames)` took, and the frames that it says it trained for."""
    introduce(threads, *packages)
    for request in requests():
        started = time.perf_counter()
        frames = train(request)
        answer(frames=frames, seconds=time.perf_counter() - started)
