"""The log of a run: messages, failures, and its sinks."""

import re
import sys

import pytest

from rlopt import commands
from rlopt.errors import UserError, warn

from .shared import open_log, read_rows


def test_log_lines_are_stamped_and_on_the_console(tmp_path, capsys):
    with open_log(tmp_path) as log:
        log.info("collecting [bold] 50 episodes")
        log.warning("no CUDA device: using the CPU")
    lines = (tmp_path / "rlopt.log").read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{stamp} INFO    collecting \[bold\] 50 episodes", lines[0])
    assert re.fullmatch(rf"{stamp} WARNING no CUDA device: using the CPU", lines[1])
    assert capsys.readouterr().err == "collecting [bold] 50 episodes\nwarning: no CUDA device: using the CPU\n"


def test_warnings_of_the_library_are_in_the_log_of_a_run_while_it_lasts(tmp_path):
    with open_log(tmp_path):
        warn("an environment does not come back")
    warn("of another run")
    assert (tmp_path / "rlopt.log").read_text().endswith(" WARNING an environment does not come back\n")


@pytest.mark.parametrize(
    ("typed", "argv", "expected"),
    [
        (None, ["scripts/02_train_ipmd.py", "--env", "a b"], "Command: python scripts/02_train_ipmd.py --env 'a b'"),
        ("ipmd", ["/usr/bin/rlopt", "--frames", "5"], "Command: rlopt ipmd --frames 5"),
        (None, ["/usr/lib/ipykernel_launcher.py", "-f", "x.json"], None),
    ],
)
def test_the_log_begins_with_the_command_of_a_script(tmp_path, monkeypatch, typed, argv, expected):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(commands, "_typed", typed)
    with open_log(tmp_path) as log:
        log.info("begins")
    lines = [line.partition("INFO ")[2].strip() for line in (tmp_path / "rlopt.log").read_text().splitlines()]
    assert lines[: 2 if expected else 1] == ([expected] if expected else []) + ["begins"]


@pytest.mark.parametrize(
    ("error", "told"),
    [(RuntimeError("diverged"), "RuntimeError: diverged"), (KeyboardInterrupt(), "KeyboardInterrupt")],
)
def test_an_exception_is_logged_and_not_swallowed(tmp_path, error, told):
    with pytest.raises(type(error)), open_log(tmp_path):
        raise error
    assert f"ERROR   stopped by {told}\n" in (tmp_path / "rlopt.log").read_text()


def test_close_twice_is_harmless(tmp_path):
    log = open_log(tmp_path)
    log.close()
    log.close()


def test_an_unwritable_folder_is_a_user_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="Cannot write to"):
        open_log(tmp_path / "file" / "run")


class Recorder:
    """A sink that a caller adds."""

    def __init__(self, error=None):
        self.rows, self.closed, self.error = [], [], error

    def log(self, row):
        self.rows.append(list(row.items()))

    def close(self, failed):
        self.closed.append(failed)
        if self.error is not None:
            raise self.error


def test_every_sink_gets_the_rows_in_one_order_and_is_closed_once(tmp_path):
    recorder = Recorder()
    with open_log(tmp_path) as log:
        log.sinks.append(recorder)
        log.metrics({"frames": 1, "loss": 2})
        log.metrics({"loss": 4, "frames": 3})
        with pytest.raises(ValueError, match="unexpected"):
            log.metrics({"loss": 4, "frames": 3, "other": 1})
        log.close()
    assert recorder.rows == [[("frames", 1.0), ("loss", 2.0)], [("frames", 3.0), ("loss", 4.0)]]
    assert recorder.closed == [False]
    assert read_rows(tmp_path) == [["frames", "loss"], ["1", "2"], ["3", "4"]]


def test_sinks_hear_of_a_failure(tmp_path):
    recorder, log = Recorder(), open_log(tmp_path)
    log.sinks.append(recorder)
    with pytest.raises(RuntimeError), log:
        raise RuntimeError
    assert recorder.closed == [True]


def test_a_sink_that_cannot_be_closed_leaves_none_open(tmp_path):
    log = open_log(tmp_path)
    first, second = Recorder(), Recorder(OSError("gone"))
    log.sinks += [first, second]
    with pytest.raises(OSError, match="gone"):
        log.close()
    log.close()
    assert first.closed == second.closed == [False]
    with pytest.raises(ValueError, match="closed file"):
        log.metrics({"frames": 1})
