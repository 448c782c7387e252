"""Copies of an environment in several processes, for environments whose steps take long."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import repeat
from logging.handlers import QueueHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from threading import Lock
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from rlopt.envs.batch.copies import make_copies
from rlopt.envs.copies import SUCCESS, Copies
from rlopt.envs.sending import pack, unpack
from rlopt.envs.spec import EnvSpec
from rlopt.errors import UserError, say

# forked, a child would inherit the threads of torch and CUDA in whatever state they are
_CONTEXT = get_context("spawn")
_PATIENCE = 10.0
"""Seconds that processes may take to end."""
_STOPS = [signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
"""What reaches every process of a terminal."""


class ProcessCopies(Copies):
    """N environments shared out among W processes, which step at the same time. Of `info` comes what tells of success.

    The numbers are those of one process, bit for bit; they lie in memory that all share, because to send arrays takes longer
    than many a step. What an environment raises there is raised here.

    Args:
        spec: of the environment.
        reset_seeds: N seeds of the first episodes.
        num_processes: W; no more than N are used.

    Raises:
        UserError: an environment cannot be made or fails, or a process has ended.
    """

    def __init__(self, spec: EnvSpec, reset_seeds: Sequence[int], num_processes: int):
        super().__init__(spec, reset_seeds)
        shares = np.array_split(np.arange(len(self)), min(num_processes, len(self)))
        self.starts, self.sizes = [int(share[0]) for share in shares], [len(share) for share in shares]
        """The number of each process's first environment, and how many it has."""
        self.owner = np.repeat(np.arange(len(shares)), self.sizes)
        """The process of each environment."""
        columns = (self.observation, self.reward, self.terminated, self.truncated)
        action = np.zeros((len(self), spec.action_size), np.float32)
        self.memory = [(_CONTEXT.RawArray("b", c.nbytes), c.dtype, c.shape) for c in (*columns, action)]
        self.observation, self.reward, self.terminated, self.truncated, self.action = map(_array, self.memory)
        self.processes: list[SpawnProcess] = []
        self.pipes: list[Connection] = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        shares = [slice(first, first + size) for first, size in zip(self.starts, self.sizes, strict=True)]
        packed = pack(self.spec, [(self.reset_seeds[share], share.start) for share in shares])
        with _stops_blocked(), _script_hidden():
            for make, share in zip(packed, shares, strict=True):
                here, there = _CONTEXT.Pipe()
                arguments = (there, make, self.memory, share)
                process = _CONTEXT.Process(target=_serve, args=arguments, daemon=True)
                process.start()
                there.close()
                self.processes.append(process)
                self.pipes.append(here)
        for index in range(len(self.pipes)):
            self._answer(index)

    def reset(self, numbers: Sequence[int] | np.ndarray, seeds: Sequence[int]) -> None:  # noqa: D102
        self.length[np.asarray(numbers)] = 0
        self._ask(np.asarray(numbers), np.asarray(seeds))

    def step_some(self, numbers: Sequence[int] | np.ndarray, action: np.ndarray) -> None:  # noqa: D102
        self.action[numbers] = action
        self._ask(np.asarray(numbers))
        self.length[np.asarray(numbers)] += 1

    def close(self) -> None:
        """End the processes, which close their environments."""
        for pipe in self.pipes:
            pipe.close()
        end = time.monotonic() + _PATIENCE
        try:
            for process in self.processes:
                process.join(max(0.0, end - time.monotonic()))
        finally:  # also at Ctrl-C
            for process in self.processes:
                process.kill()

    def _ask(self, numbers: np.ndarray, seeds: np.ndarray | None = None) -> None:
        """Have the processes reset n environments with seeds `[n]`, or step them."""
        owner = self.owner[numbers]
        shares = [(index, owner == index) for index in np.unique(owner).tolist()]
        for index, rows in shares:
            own = numbers[rows] - self.starts[index]
            which = None if len(own) == self.sizes[index] else own.tolist()  # None: all of them
            with self._connected(index):
                self.pipes[index].send((which, None if seeds is None else seeds[rows].tolist()))
        for index, rows in shares:
            successes: Iterable[Mapping[str, bool]] = self._answer(index) or repeat({})
            for number, info in zip(numbers[rows].tolist(), successes, strict=False):
                self.info[number] = info

    def _answer(self, index: int) -> Any:
        with self._connected(index):
            while isinstance(answer := self.pipes[index].recv(), logging.LogRecord):
                if (logger := logging.getLogger(answer.name)).isEnabledFor(answer.levelno):
                    logger.handle(answer)
        if isinstance(answer, str):
            raise UserError(answer)
        return answer

    @contextmanager
    def _connected(self, index: int) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self.processes[index].join(_PATIENCE)
            code = self.processes[index].exitcode
            raise UserError(
                f"A process that steps environments has ended (exit code {code}); if it gave a reason, that stands above."
            ) from error


def copies_of(spec: EnvSpec, reset_seeds: Sequence[int], *, threads: int = 1, processes: int = 0) -> Copies:
    """N copies of an environment: in `processes` of their own or, with 0, as `make_copies` makes them here."""
    if processes:
        return ProcessCopies(spec, reset_seeds, processes)
    return make_copies(spec, reset_seeds, threads=threads)


def _array(memory: tuple[Any, np.dtype, tuple[int, ...]]) -> np.ndarray:
    """The array of a `RawArray`, a type and a shape."""
    raw, dtype, shape = memory
    return np.frombuffer(raw, dtype).reshape(shape)


def _serve(
    pipe: Connection, packed: bytes, memory: Sequence[tuple[Any, np.dtype, tuple[int, ...]]], own: slice
) -> None:
    """Make copies, and reset or step them as asked, until the pipe is closed.

    The outcome goes into the rows `own` of the arrays in `memory`; successes, or what is wrong, into the pipe, and before
    them what is logged meanwhile.
    """
    _let_stops_pass()
    main = _Main(pipe)
    logging.getLogger().addHandler(main)
    # EOFError, OSError: the main process has closed the pipe, or is gone; what is wrong is told before anything is closed
    with suppress(EOFError, OSError), ExitStack() as stack, pipe:
        try:
            copies = stack.enter_context(closing(unpack(packed)()))
            *columns, action = (_array(part)[own] for part in memory)
            copies.observation, copies.reward, copies.terminated, copies.truncated = columns
            main.tell(None)
            while True:
                which, seeds = pipe.recv()
                numbers = np.arange(len(copies)) if which is None else np.asarray(which)
                if seeds is None:
                    copies.step_some(numbers, action[numbers])
                else:
                    copies.reset(numbers, seeds)
                successes = [_success(copies.info[number]) for number in numbers]
                main.tell(successes if any(successes) else None)
        except UserError as error:
            main.tell(str(error))


class _Main(QueueHandler):
    """The main process, seen from one that steps: is sent answers and what is logged, one after the other."""

    def __init__(self, pipe: Any):
        super().__init__(pipe)
        self.pipe, self.sending = pipe, Lock()

    def tell(self, answer: Any) -> None:
        """Send an answer, or a record."""
        with self.sending:  # the watchdog's thread logs, too
            self.pipe.send(answer)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record; once the main process has closed the pipe, show it here."""
        try:
            self.tell(record)
        except OSError:
            say(f"warning: {record.getMessage()}")


def _success(info: Mapping[str, Any]) -> dict[str, bool]:
    """What it tells of success; the rest may be large, or of a kind that cannot be sent."""
    return {name: bool(np.any(info[name])) for name in SUCCESS if name in info}


def _let_stops_pass() -> None:
    """Do nothing at Ctrl-C and a closed terminal. Programs that an environment starts would inherit SIG_IGN or a block."""

    def nothing(number: int, frame: FrameType | None) -> None:
        pass

    for number in _STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, nothing)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)


@contextmanager
def _stops_blocked() -> Iterator[None]:
    """For processes that start meanwhile: Ctrl-C and a closed terminal reach each one, but the main process ends the workers.

    Windows cannot block signals: there, Ctrl-C while they start may leave their tracebacks behind.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Processes that start meanwhile do not run the user's script again: what an environment needs of it is sent.

    So it needs no `if __name__ == "__main__":`, and what else it imports is not loaded there.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script
