"""What speaks to the user: exceptions, warnings, lines on the screen."""

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

FULL = frozenset((errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG))
_CLOSED = frozenset((errno.EROFS, errno.EACCES, errno.EPERM))
DISK_ERRORS = FULL | {errno.EROFS}
"""Error numbers that come from a disk alone, whatever was written."""


ANYTHING = (Exception, SystemExit)
"""What code that is not rlopt's, an environment's, can raise. Some of it ends the program instead."""


class UserError(Exception):
    """Something the user can put right: the message is one sentence that says what is wrong and what to do.

    The scripts print it without a traceback and exit with code 2.
    """


class CannotWrite(UserError):
    """A disk is full, a folder is read-only, has gone or is no folder: `advice` is how to go on, by default a general one."""

    def __init__(self, path: Path | str, error: OSError, advice: str | None = None):
        self.path, self.error, self.advice = path, error, advice
        general = "free some space or choose another output folder"
        super().__init__(f"Cannot write {path}: {error.strerror or error}; {advice or general}.")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled by what it is made from: it may be raised on another machine."""
        return CannotWrite, (self.path, self.error, self.advice)

    def advise(self, then: str) -> "CannotWrite":
        """The same with how to go on, `then`, unless that was said."""
        if self.advice is not None:
            return self
        remedy = "free some space" if self.error.errno in FULL else "see that it can be written to"
        remedy = "make it writable" if self.error.errno in _CLOSED else remedy
        return CannotWrite(self.path, self.error, f"{remedy}, then {then}")


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """What the system cannot write in the block is raised as CannotWrite of this path."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(path, error) from error


def say(text: str) -> None:
    """A line on the screen; that it cannot be written there (a full disk behind `2> FILE`) ends nothing."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """One sentence to the log; the scripts print it."""
    logging.getLogger("rlopt").warning(message)
