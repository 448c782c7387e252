"""Files that are never half-written and never executed: atomic save, safe load.

A file is written under a temporary name in its own folder, flushed to disk and renamed, so that a crash, a full disk or
Ctrl-C leaves the old file or the new one. A file is read with `torch.load(weights_only=True)`: tensors and primitives
only, so that a file from a stranger cannot run code.
"""

from __future__ import annotations

import os
import signal
import threading
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from rlopt.errors import UserError


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


class _Writer:
    """The part of a file that `torch.save` uses; keeps the OSError that torch hides behind a RuntimeError."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


_PLAIN = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)


def _check_plain(value: Any, where: str) -> None:
    """Refuses now what `load_safely` would refuse later, when the run that could write it again is gone."""
    if isinstance(value, dict) and type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _check_plain(key, f"{where} key {key!r}")
            _check_plain(item, f"{where}[{key!r}]")
    elif type(value) in (list, tuple, set):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    # By exact type: a numpy float is a Python float by inheritance, but not in a pickle.
    elif type(value) not in _PLAIN and not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{where} is a {type(value).__qualname__}; only tensors and primitives can be read back safely."
        )


@contextmanager
def _stops_wait() -> Iterator[None]:
    """Holds Ctrl-C and SIGTERM back until the block ends: torch's writer makes a RuntimeError of an interrupt, or crashes."""
    if threading.current_thread() is not threading.main_thread():  # no other thread hears of it
        yield
        return
    heard: list[int] = []
    stops = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(stop, lambda number, frame: heard.append(number)) for stop in stops]
    try:
        yield
    finally:
        for stop, handler in zip(stops, handlers, strict=True):
            signal.signal(stop, handler)
        for number in heard:
            signal.raise_signal(number)


@contextmanager
def atomic_file(path: Path | str) -> Iterator[IO[bytes]]:
    """A binary file to write to; it takes the place of `path` when the block ends, and vanishes when the block fails.

    Parent folders are created; Ctrl-C and SIGTERM wait until the file is whole. Raises:
        UserError: the folder cannot be written to or the disk is full; the old file stays as it was.
    """
    path = Path(path)
    # Not tempfile: its files are private (mode 0600), and a shared result must follow the user's umask.
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    with _stops_wait():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # the rename must not reach the disk before the contents do
            os.replace(temporary, path)
        except OSError as error:
            raise UserError(
                f"Cannot write {path}: {_reason(error)}; free some space or choose another output folder."
            ) from error
        finally:
            # After the rename this name is gone; a folder that was never made has nothing to remove either.
            if temporary.parent.is_dir():
                temporary.unlink(missing_ok=True)


def save_atomically(path: Path | str, state: Any) -> None:
    """Writes `state` (tensors, primitives and containers of them) with `torch.save`, whole or not at all.

    Raises:
        TypeError: something in `state` is neither (a numpy scalar, a Path, a TensorDict); the message says where.
        UserError: the folder cannot be written to or the disk is full; the old file, if any, is untouched.
    """
    _check_plain(state, "state")
    with atomic_file(path) as file:
        writer = _Writer(file)
        try:
            torch.save(state, writer)  # type: ignore[arg-type]  # torch needs write and flush only
        except RuntimeError:
            if writer.error is not None:
                raise writer.error from None
            raise


def write_text_atomically(path: Path | str, text: str) -> None:
    """Writes `text` as UTF-8, whole or not at all; raises as `save_atomically` does."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def load_safely(path: Path | str, *, what: str, hint: str = "") -> Any:
    """What `save_atomically` wrote, on the CPU. Code in the file is never run.

    Args:
        path: the file.
        what: what it is to the user, for messages ("Expert buffer").
        hint: what to do when it is missing, a whole sentence ("Run scripts/01_... first.").

    Raises:
        UserError: the file is missing, a folder, unreadable, truncated, of another format, or holds pickled code.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{what} {path} is a folder, not a file; give the path of the file itself.")
    if not path.exists():
        raise UserError(f"{what} not found: {path}. {hint}".rstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on the pickle protocol of a file that is refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {_reason(error)}.") from error
    # Any bytes can stand in a foreign file, and torch's reader answers them with nearly every exception there is.
    except Exception as error:
        raise UserError(
            f"{what} {path} is refused: it is damaged, or not a file of plain tensors that rlopt wrote "
            "(nothing in it was executed); write it again."
        ) from error


def check_writable(directory: Path | str) -> None:
    """Creates `directory` and writes to it once, so that a run fails at its start and not at its end.

    Raises:
        UserError: it cannot be created or written to.
    """
    directory = Path(directory)
    probe = directory / f".rlopt-{uuid.uuid4().hex[:8]}.tmp"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        raise UserError(f"Cannot write to {directory}: {_reason(error)}; choose another output folder.") from error
