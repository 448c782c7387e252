"""One process per folder: a lock that ends with its process, and the half-written files that a killed process left."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rlopt.errors import UserError, writing

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: without a lock
    fcntl = None

WAIT_SECONDS = 60.0
"""For a folder that processes share and hold while they write a file or two."""
LOCK = ".rlopt.lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")  # what `atomic_file` writes to
_held: set[tuple[int, str]] = set()
"""Process and folder: a comparison may write its expert's demonstrations into the folder that it holds."""


@contextmanager
def only_process_in(folder: Path | str, wait: float = 0.0) -> Iterator[None]:
    """Holds `folder` until the block ends; the system frees it when the process dies, whatever killed it.

    Half-written files of a killed process are removed. A folder that is not there is nobody's. Raises UserError, before
    anything is changed, if another process holds the folder and goes on to do so for `wait` seconds, or if the folder cannot
    be written to.
    """
    key = os.getpid(), os.path.realpath(folder)
    if fcntl is None or key in _held or not os.path.isdir(folder):
        yield
        return
    file = _locked(Path(folder), time.monotonic() + wait)
    _held.add(key)
    try:
        remove_temporary_files(Path(folder))
        yield
    finally:
        _held.discard(key)
        with suppress(OSError):  # the folder may have gone
            (Path(folder) / LOCK).unlink(missing_ok=True)
        os.close(file)  # which frees it


def remove_temporary_files(folder: Path) -> None:
    """Deletes what `atomic_file` did not finish in `folder` and in a checkpoint's `replay`."""
    for place in (folder, folder / "replay"):
        with suppress(OSError):  # they only take space
            for path in place.iterdir() if place.is_dir() else ():
                if _TEMPORARY.fullmatch(path.name):
                    path.unlink()


def _locked(folder: Path, until: float) -> int:
    """The open lock file of `folder`, locked."""
    path = folder / LOCK
    while True:
        with writing(folder):
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            if time.monotonic() >= until:
                raise UserError(
                    f"Another process is at work in {folder}: wait until it ends, or choose another folder."
                ) from None
            time.sleep(0.1)
            continue
        except OSError:  # a file system without locks
            return file
        # whoever held it deletes it before it is free: a file that is gone locks nobody out
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        os.close(file)
