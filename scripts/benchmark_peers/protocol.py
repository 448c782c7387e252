"""How a contestant talks to the benchmark: one line per request, one JSON line per answer.

Imported by contestants alone: it takes standard output for the answers.
"""

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Generator

# What a library prints must not end up among the answers.
_ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)  # by line
os.dup2(2, 1)


def turns(threads: int, *packages: str) -> Generator[int, int, None]:
    """Introduce the contestant; then yield the frames of each turn, and answer with those that are sent and their seconds.

    Waits without a spin, and ends the process with the benchmark.
    """
    versions = {name: importlib.metadata.version(name) for name in packages}
    print(json.dumps({"threads": threads, "versions": versions}), file=_ANSWERS)
    for line in sys.stdin:
        started = time.perf_counter()
        frames = yield int(line)
        print(json.dumps({"frames": frames, "seconds": time.perf_counter() - started}), file=_ANSWERS)
    sys.exit()


def serve(train: Callable[[int], int], threads: int, *packages: str) -> None:
    """Train in every turn with `train(frames)`, which says how many frames it trained for."""
    turn = turns(threads, *packages)
    frames = next(turn)
    while True:
        frames = turn.send(train(frames))
