"""Files that are never half-written and never executed: atomic save, safe load.

A file is written under a temporary name and renamed: a crash, a full disk or Ctrl-C leaves the old file or the new one.
Only tensors and primitives are read, so that a foreign file cannot run code. Only saving and loading import torch.
"""

import errno
import math
import os
import signal
import tempfile
import threading
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

from rlopt.errors import DISK_ERRORS, CannotWrite, UserError, writing
from rlopt.logs.damage import check_archive

STOPS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
"""Signals that ask a program to end."""


def check_writable(directory: Path | str, *names: str) -> None:
    """Creates `directory` and writes to it once, so that a run fails (with a UserError) at its start, not at its end.

    `names` are files that will be written there: a folder in the place of one is refused, too.
    """
    with writing(f"to {directory}"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".rlopt-", dir=directory) as probe:
            probe.write(b"\0")
        for name in names:
            if (Path(directory) / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{name} is a folder there")


@contextmanager
def atomic_file(path: Path | str) -> Iterator[IO[bytes]]:
    """A binary file to write to; it replaces `path` when the block ends, and is deleted when the block fails.

    Parent folders are created. Ctrl-C and SIGTERM are delayed until the file is complete. Raises CannotWrite if the folder
    cannot be written to or the disk is full; the old file stays as it was.
    """
    path = Path(path)
    # Not tempfile: its files are private (mode 0600), and a shared result must follow the user's umask.
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    with _interrupts_delayed():
        try:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(temporary, "xb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())  # the contents must reach the disk before the rename does
                os.replace(temporary, path)
        finally:
            with suppress(OSError):  # of a folder that is not there or cannot be written to: the error above tells
                temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path | str, text: str) -> None:
    """Replaces `path` by `text` in UTF-8; raises as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def open_to_append(path: Path | str) -> TextIO:
    """A text file for `append_text`. Raises CannotWrite if it cannot be opened."""
    with writing(path):
        return open(path, "a", newline="", encoding="utf-8")


def append_text(file: TextIO, text: str) -> None:
    """Writes to an open file and flushes it, so that a crash loses nothing.

    Raises CannotWrite if the disk is full, or what was opened is no longer where it was.
    """
    with writing(file.name):
        file.write(text)
        file.flush()
        check_in_place(file)


def check_in_place(file: TextIO) -> None:
    """Raises OSError if the path of an open file now leads elsewhere or nowhere: its folder was deleted or moved."""
    if not os.path.samestat(os.fstat(file.fileno()), os.stat(file.name)):
        raise OSError(errno.ENOENT, "it was replaced by another file while the run wrote to it")


def close_appended(file: TextIO) -> None:
    """Closes a file of `append_text`, which has told of all that could not be written."""
    with suppress(OSError):
        file.close()


def save_atomically(path: Path | str, state: Any) -> None:
    """Replaces `path` by `state` (tensors, primitives and containers of them), written with `torch.save`.

    Raises TypeError if something in `state` is neither (a numpy scalar, a Path), else as `atomic_file` does.
    """
    import torch

    _check_plain(state, "state")
    with atomic_file(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # of torch's attempt to end the file after an OSError
            raise error.__context__ or error from None


@contextmanager
def tell_how_to_go_on(then: Callable[[], str]) -> Iterator[None]:
    """What the block cannot write is told with `then()`, what to do after the disk or folder was put right."""
    try:
        yield
    except CannotWrite as error:
        raise error.advise(then()) from error
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise CannotWrite(error.filename or "a file", error).advise(then()) from error


def check_exists(path: Path | str, *, what: str, hint: str = "") -> None:
    """Raises UserError for a file that is missing or a folder, in the words of `load_safely`."""
    if Path(path).is_dir():
        raise UserError(f"{what} {path} is a folder, not a file; give the path of the file itself.")
    if not Path(path).exists():
        raise UserError(f"{what} not found: {path}. {hint}".rstrip())


def load_safely(path: Path | str, *, what: str, hint: str = "") -> Any:
    """Reads what `save_atomically` wrote, to the CPU.

    Messages call the file `what` ("Expert buffer"); `hint` is a sentence on what to do when it is missing. Raises
    UserError if it is missing, a folder, unreadable, damaged, of another format, or holds pickled code, which never runs.
    """
    check_exists(path, what=what, hint=hint)
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of a file that is refused anyway
            check_archive(path)  # torch writes checksums, and does not look at them
            state = torch.load(path, map_location="cpu", weights_only=True)
        _check_plain(state, "state", most_bytes=os.path.getsize(path))
        return state
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {error.strerror or error}.") from error
    # A foreign file can hold any bytes, and torch's reader raises nearly every exception there is.
    except Exception as error:
        raise UserError(
            f"{what} {path} is refused: it is damaged, or not a file of plain tensors that rlopt wrote "
            "(nothing in it was executed); write it again."
        ) from error


def _check_plain(value: Any, where: str, most_bytes: float = math.inf) -> None:
    """Raises TypeError for what `load_safely` refuses, ValueError for a tensor that says it is larger than `most_bytes`."""
    import torch

    plain = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
    # By exact type: a numpy float is a Python float by inheritance, but not in a pickle.
    if type(value) in (dict, OrderedDict, list, tuple, set):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_plain(key, f"{where} key {key!r}", most_bytes)
            _check_plain(item, f"{where}[{key!r}]", most_bytes)
    elif isinstance(value, torch.Tensor):
        # one number can be repeated (a stride of 0) into what fits into no memory
        if value.layout != torch.strided or value.numel() * value.element_size() > most_bytes:
            raise ValueError(f"{where} is larger than the file")
    elif type(value) not in plain:
        raise TypeError(
            f"{where} is a {type(value).__qualname__}; only tensors and primitives can be read back safely."
        )


@contextmanager
def _interrupts_delayed() -> Iterator[None]:
    """Delays Ctrl-C and its like until the block ends: inside torch's writer they become a RuntimeError or a crash."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
        yield
        return
    received: list[int] = []
    stops = [stop for stop in STOPS if callable(signal.getsignal(stop))]  # not those that are ignored
    handlers = {stop: signal.signal(stop, lambda number, frame: received.append(number)) for stop in stops}
    try:
        yield
    finally:
        for stop, handler in handlers.items():
            signal.signal(stop, handler)
        for number in received:
            signal.raise_signal(number)
