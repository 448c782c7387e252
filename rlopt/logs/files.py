"""Files that are never half-written and never executed: atomic save, safe load.

A file is written under a temporary name and renamed: a crash, a full disk or Ctrl-C leaves the old file or the new one.
Only tensors and primitives are read, so that a foreign file cannot run code. Only saving and loading import torch.
"""

import os
import signal
import tempfile
import threading
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

from rlopt.errors import UserError


def check_writable(directory: Path | str) -> None:
    """Creates `directory` and writes to it once, so that a run fails (with a UserError) at its start, not at its end."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".rlopt-", dir=directory) as probe:
            probe.write(b"\0")
    except OSError as error:
        raise UserError(f"Cannot write to {directory}: {_reason(error)}; choose another output folder.") from error


@contextmanager
def atomic_file(path: Path | str) -> Iterator[IO[bytes]]:
    """A binary file to write to; it replaces `path` when the block ends, and is deleted when the block fails.

    Parent folders are created. Ctrl-C and SIGTERM are delayed until the file is complete. Raises UserError if the folder
    cannot be written to or the disk is full; the old file stays as it was.
    """
    path = Path(path)
    # Not tempfile: its files are private (mode 0600), and a shared result must follow the user's umask.
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    with _interrupts_delayed():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # the contents must reach the disk before the rename does
            os.replace(temporary, path)
        except OSError as error:
            raise UserError(
                f"Cannot write {path}: {_reason(error)}; free some space or choose another output folder."
            ) from error
        finally:
            if temporary.parent.is_dir():  # not so if it could not be created
                temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path | str, text: str) -> None:
    """Replaces `path` by `text` in UTF-8; raises as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(text.encode("utf-8"))


def append_text(file: TextIO, text: str) -> None:
    """Writes to an open file and flushes it, so that a crash loses nothing. Raises UserError if the disk is full."""
    try:
        file.write(text)
        file.flush()
    except OSError as error:
        raise UserError(f"Cannot write {file.name}: {_reason(error)}; free some space and resume.") from error


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


def check_exists(path: Path | str, *, what: str, hint: str = "") -> None:
    """Raises UserError for a file that is missing or a folder, in the words of `load_safely`."""
    if Path(path).is_dir():
        raise UserError(f"{what} {path} is a folder, not a file; give the path of the file itself.")
    if not Path(path).exists():
        raise UserError(f"{what} not found: {path}. {hint}".rstrip())


def load_safely(path: Path | str, *, what: str, hint: str = "") -> Any:
    """Reads what `save_atomically` wrote, to the CPU.

    Messages call the file `what` ("Expert buffer"); `hint` is a sentence on what to do when it is missing. Raises
    UserError if it is missing, a folder, unreadable, truncated, of another format, or holds pickled code, which never runs.
    """
    check_exists(path, what=what, hint=hint)
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the pickle protocol of a file that is refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{what} {path} cannot be read: {_reason(error)}.") from error
    # A foreign file can hold any bytes, and torch's reader raises nearly every exception there is.
    except Exception as error:
        raise UserError(
            f"{what} {path} is refused: it is damaged, or not a file of plain tensors that rlopt wrote "
            "(nothing in it was executed); write it again."
        ) from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _check_plain(value: Any, where: str) -> None:
    """Raises TypeError for what `load_safely` would refuse later, when the run is over."""
    import torch

    plain = (bool, int, float, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
    # By exact type: a numpy float is a Python float by inheritance, but not in a pickle.
    if type(value) in (dict, OrderedDict, list, tuple, set):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            _check_plain(key, f"{where} key {key!r}")
            _check_plain(item, f"{where}[{key!r}]")
    elif type(value) not in plain and not isinstance(value, torch.Tensor):
        raise TypeError(
            f"{where} is a {type(value).__qualname__}; only tensors and primitives can be read back safely."
        )


@contextmanager
def _interrupts_delayed() -> Iterator[None]:
    """Delays Ctrl-C and SIGTERM until the block ends: inside torch's writer they become a RuntimeError or a crash."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
        yield
        return
    received: list[int] = []
    stops = (signal.SIGINT, signal.SIGTERM)
    handlers = {stop: signal.signal(stop, lambda number, frame: received.append(number)) for stop in stops}
    try:
        yield
    finally:
        for stop, handler in handlers.items():
            signal.signal(stop, handler)
        for number in received:
            signal.raise_signal(number)
