"""Ctrl-C, `kill` and a closed terminal wait for a point at which nothing is half done, so that a run can go on from it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from rlopt.logs.files import STOPS


class StopRequest:
    """Whether the user asked the run to stop."""

    requested = False


@contextmanager
def stop_when_asked() -> Iterator[StopRequest]:
    """Until the block ends, a signal that would raise KeyboardInterrupt is noted instead; the second one raises it at once."""
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield stop
        return
    numbers = [number for number in STOPS if signal.getsignal(number) is signal.default_int_handler]

    def note(number: int, frame: FrameType | None) -> None:
        if stop.requested:
            raise KeyboardInterrupt
        stop.requested = True
        # not print: a signal may come in the middle of one
        with suppress(OSError):  # a full disk behind `2> FILE`
            os.write(2, b"\nStopping as soon as this batch is done; Ctrl-C again stops at once.\n")

    for number in numbers:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
