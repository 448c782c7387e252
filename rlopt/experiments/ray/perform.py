"""A cell on the machine that it was sent to: in an empty folder of its own, from which everything goes back as a value."""

import importlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlopt.agents.methods import METHODS, Method, register
from rlopt.experiments.ray.mail import Progress, Snapshot, Started
from rlopt.experiments.ray.packing import Packed, Stamps, pack, unpack
from rlopt.logs.watching import watched_by

LOGS = "logs"
"""The folder of the logs in a cell's own folder."""
PROGRESS_SECONDS = 1.0


@dataclass(frozen=True)
class Order:
    """What to do, and all that is needed for it."""

    cell: str
    attempt: int
    call: Callable[..., dict[str, Any]]
    arguments: Mapping[str, Any]
    cpus: int
    begun: Packed | None = None
    """The run folder of an interrupted run, at its last checkpoint."""
    begun_in: str = ""
    """Where it lies below the folder of the logs."""
    modules: Packed | None = None
    """The user's own modules."""
    methods: Sequence[Method] = ()
    """Methods that the user registered."""


@dataclass(frozen=True)
class Outcome:
    """What comes back."""

    result: dict[str, Any]
    """Of the call; paths in it mean nothing elsewhere."""
    packed: Packed
    """All that the cell wrote."""
    folder: str
    """Where its run folder lies below the folder of the logs."""


def perform(order: Order, post: Callable[[Any], object]) -> Outcome:
    """Run a cell; `post` takes its messages."""
    listen_to_interrupts()
    post(Started(order.cell, order.attempt, socket.gethostname()))
    with tempfile.TemporaryDirectory(prefix="rlopt-cell-", ignore_cleanup_errors=True) as folder:
        work, modules = Path(folder).resolve() / "work", Path(folder).resolve() / "modules"
        for place, packed in ((work / LOGS / order.begun_in, order.begun), (modules, order.modules)):
            place.mkdir(parents=True, exist_ok=True)
            if packed is not None:
                unpack(packed, place)
        courier = Courier(order, work / LOGS, post)
        # for a block: another cell may be this process's next task
        with chdir(work), importing_from(modules), watched_by(courier):
            use_cores(order.cpus)
            for method in order.methods:
                register(method)
            result = order.call(**order.arguments)
            return Outcome(result, pack(work), courier.folder)


class Courier:
    """Tells where a run stands, and sends its folder at each checkpoint."""

    def __init__(self, order: Order, logs: Path, post: Callable[[Any], object]):
        self.order, self.logs, self.post = order, logs, post
        self.folder, self.total, self.unit = "", 0, ""
        self.sent: Stamps | None = None
        self.told, self.latest = 0.0, dict[str, float | str]()

    def began(self, directory: Path, total: int, unit: str) -> None:
        """As of `Watcher`."""
        self.folder = directory.resolve().relative_to(self.logs).as_posix()
        self.total, self.unit, self.sent = total, unit, None

    def progressed(self, done: int, latest: Mapping[str, float | str]) -> None:
        """As of `Watcher`."""
        self.latest |= latest
        if time.monotonic() - self.told >= PROGRESS_SECONDS or done >= self.total:
            self.told = time.monotonic()
            order = self.order
            self.post(Progress(order.cell, order.attempt, done, self.total, self.unit, dict(self.latest)))

    def saved(self) -> None:
        """As of `Watcher`."""
        packed = pack(self.logs / self.folder, self.sent)
        self.sent = packed.stamps
        self.post(Snapshot(self.order.cell, self.order.attempt, self.folder, packed))


@contextmanager
def importing_from(folder: Path) -> Iterator[None]:
    """Import modules from `folder`, too, for a block."""
    sys.path.append(str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(str(folder))


def use_cores(count: int) -> None:
    """Let torch, and seeds that share cores, use so many: torch keeps the number that an earlier cell loaded it with."""
    import torch

    os.environ["OMP_NUM_THREADS"] = str(count)  # `available_workers`, and processes that are started
    torch.set_num_threads(count)


def listen_to_interrupts() -> None:
    """Let Ray interrupt this cell: what a shell starts in the background ignores that signal, and so do its workers."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def own_methods() -> list[Method]:
    """Methods that did not come with rlopt: another process does not know them."""
    return [
        method for method in METHODS.values() if not str(getattr(method.agent, "__module__", "")).startswith("rlopt.")
    ]
