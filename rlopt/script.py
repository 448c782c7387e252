"""How a script begins and ends: signals, exit codes, one sentence for what the user can put right. Imports nothing heavy."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from rlopt.errors import DISK_ERRORS, UserError, say


def run(main: Callable[[], None]) -> None:
    """Run a script and leave with its exit code: 0, 2 with one sentence for what the user can put right, 130 for Ctrl-C.

    SIGTERM (`kill`, a scheduler) and SIGHUP (a closed terminal; not under nohup) count as Ctrl-C, so that these runs keep a
    checkpoint, too.
    """
    sys.path.append("")  # the user's own modules, in the folder where the command runs: `--env module:Id`
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    logging.basicConfig(format="warning: %(message)s", level=logging.WARNING)
    try:
        main()
        with suppress(BrokenPipeError):  # `| head`
            sys.stdout.flush()
    except UserError as error:
        sys.exit(_complain(str(error), 2))
    except KeyboardInterrupt:
        sys.exit(_complain("interrupted.", 130))
    except OSError as error:  # of whatever has no better sentence
        if error.errno not in DISK_ERRORS:
            raise
        what = f"Cannot write {error.filename or 'the output'}: {error.strerror}"
        sys.exit(_complain(f"{what}; free some space, then start again, or go on with --resume.", 2))
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which may not be loaded
            raise
        message = "CUDA is out of memory: lower --batch-size, --num-seeds or, in step 2, --expert-batch-size."
        sys.exit(_complain(message, 2))
    finally:
        _give_up_streams()


def _complain(message: str, code: int) -> int:
    line = " ".join(message.split())  # torch's part of a message can have several
    say(f"error: {line}" if code == 2 else line)
    return code


def _give_up_streams() -> None:
    """Python ends with a code of its own, 120, if it cannot write what a stream still holds: a full disk behind `> FILE`."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
