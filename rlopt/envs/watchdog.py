"""Says while an environment hangs which one it is."""

import threading
import time

from rlopt.errors import warn

PATIENCE = 30.0
"""Seconds that a step or a reset may take before it is reported."""


class Watchdog:
    """Reports an environment that does not come back; `close` ends its thread.

    The one that steps sets `number` and `since` before each call: two assignments cost next to nothing.

    Args:
        name: the environment's, for the message.
        first: the number of the first environment.
    """

    def __init__(self, name: str, first: int = 0):
        self.name, self.first = name, first
        self.number = 0
        self.since: float | None = None
        """When the call began that is under way, by `time.monotonic`; None: there is none."""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def call(self, number: int) -> None:
        """An environment is called now."""
        self.number, self.since = number, time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="rlopt-watchdog", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        reported = None
        while not self._closed.wait(PATIENCE / 10):
            since = self.since
            if since is not None and since != reported and time.monotonic() - since > PATIENCE:
                reported = since
                warn(
                    f"Environment number {self.first + self.number} of {self.name} has not come back for "
                    f"{PATIENCE:.0f} seconds: it may hang. Ctrl-C twice stops the run."
                )

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
