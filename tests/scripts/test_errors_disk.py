"""Disks that are full, folders that are taken, files that were replaced, and sizes that fit no machine (DESIGN section 6)."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rlopt.experiments import comparison_cells
from rlopt.logs import files as disk
from rlopt.logs.lock import only_process_in

from .shared_errors import BC_SCRIPT, COLLECT, COMPARE, EXPERT, IPMD_SCRIPT, command

pytestmark = pytest.mark.usefixtures("workplace")


class Disk:
    """A disk that is full from the file number `last` on, until there is space again."""

    def __init__(self, monkeypatch):
        self.written, self.last = 0, 10**9
        monkeypatch.setattr(disk.os, "fsync", self)

    def __call__(self, number):
        self.written += 1
        if self.written > self.last:
            raise OSError(errno.ENOSPC, "No space left on device")

    def full_after(self, files):
        self.written, self.last = 0, files


@pytest.mark.parametrize("script", [COLLECT, BC_SCRIPT])
def test_a_disk_that_is_full_at_any_file_leaves_a_run_to_go_on_with(script, quick, call, monkeypatch):
    drive = Disk(monkeypatch)
    assert call(*quick(script))[0] == 0
    files, resumed = drive.written, 0
    assert files >= 6
    for good in range(files):
        shutil.rmtree("logs")
        drive.full_after(good)
        code, _, err = call(*quick(script))
        if drive.written <= good:  # how many checkpoints there are depends on the clock
            assert code == 0
            continue
        assert code == 2, good
        line = err.splitlines()[-1]
        assert line.startswith("error: Cannot write "), good
        assert "No space left on device; free some space, then " in line
        assert not list(Path("logs").rglob("*.tmp"))
        (folder,) = Path("logs").glob("*/rlopt-test/*/2*")
        flags = ["--resume", folder] if "--resume" in line else []
        assert flags or not (folder / "checkpoint.pt").exists()
        drive.full_after(10**9)
        assert call(*quick(script), *flags)[0] == 0, (good, line)
        assert not (folder / "checkpoint.pt").exists()
        resumed += bool(flags)
    assert resumed >= 3


def test_a_comparison_on_a_full_disk_says_resume(quick, call, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(comparison_cells, "write_comparison", full)
        code, _, err = call(*quick(COMPARE))
    assert code == 2
    assert err.splitlines()[-1].endswith("free some space, then add --resume to the command.")
    assert call(*quick(COMPARE), "--resume")[0] == 0


@pytest.mark.parametrize(("stream", "code"), [("stdout", 2), ("stderr", 0), ("both", 2)])
def test_output_that_cannot_be_written_is_no_success_and_no_traceback(stream, code):
    """`> FILE` on a full disk: without this, Python ends with 120 and what it calls an ignored exception."""
    program = (
        "import logging; from rlopt.cli import run\ndef main():\n logging.warning('x'); print('a table')\nrun(main)"
    )
    with open("/dev/full", "w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        streams |= dict.fromkeys(("stdout", "stderr") if stream == "both" else (stream,), full)
        done = subprocess.run([sys.executable, "-c", program], text=True, **streams)
    assert done.returncode == code
    if stream == "stdout":
        assert done.stderr.splitlines() == [
            "warning: x",
            "error: Cannot write the output: No space left on device; free some space, then start again, "
            "or go on with --resume.",
        ]


def test_a_disk_error_from_anywhere_is_a_sentence():
    program = (
        "from rlopt.cli import run\ndef main():\n raise OSError(28, 'No space left on device', 'some/file')\nrun(main)"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Cannot write some/file: No space left on device; free some space")


# ------------------------------------------------------------------------------------------------ one process a folder


def busy(folder):
    """Another process that holds a folder."""
    code = """
import sys, time
from rlopt.logs.lock import only_process_in
with only_process_in(sys.argv[1]):
    print(flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


@pytest.mark.parametrize("script", [COLLECT, COMPARE])
def test_a_folder_of_a_running_process_is_refused(script, quick, call, monkeypatch):
    drive = Disk(monkeypatch)
    drive.full_after(6)  # interrupted, with a checkpoint
    assert call(*quick(script))[0] == 2
    drive.full_after(10**9)
    (folder,) = (
        [Path("comparison_results/rlopt-test/Counter-v0")] if script == COMPARE else Path("logs").glob("*/*/*/2*")
    )
    flags = ["--resume"] if script == COMPARE else ["--resume", folder]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with busy(folder) as process:
        code, _, err = call(*quick(script), *flags)
        process.kill()
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: Another process is at work in {folder}")
    (folder / ".rlopt.lock").unlink()
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert call(*quick(script), *flags)[0] == 0


# ---------------------------------------------------------------------------------- what is looked at before the training


@pytest.mark.parametrize(
    "taken",
    [
        "comparison_results/Pendulum-v1",
        "expert_data/Pendulum-v1",
        *(f"logs/{method}/Pendulum-v1" for method in ("sac", "ipmd", "bc")),
    ],
)
def test_every_folder_of_a_comparison_is_tried_before_it_trains(taken, refused):
    Path(taken).parent.mkdir(parents=True)
    Path(taken).write_text("a file where a folder should be")
    assert f"Cannot write to {taken}" in refused(COMPARE)


@pytest.mark.parametrize("name", ["stages.pt", "results.json", "learning_curves.png"])
def test_every_file_of_a_comparison_is_looked_at_before_it_trains(name, refused):
    (Path("comparison_results/Pendulum-v1") / name).mkdir(parents=True)
    assert f"{name} is a folder there" in refused(COMPARE)


SIZES = [
    ("--hidden-sizes", ["1000000", "1000000"], (COLLECT, IPMD_SCRIPT, BC_SCRIPT, COMPARE)),
    ("--updates-per-frame", ["1e9"], (COLLECT, IPMD_SCRIPT, COMPARE)),
    ("--num-seeds", ["1000000000"], (COLLECT, IPMD_SCRIPT, BC_SCRIPT)),
    ("--batch-size", ["10000000000"], (COLLECT, BC_SCRIPT)),
    ("--episodes", ["1000000000000"], (COLLECT,)),
]


@pytest.mark.parametrize(("flag", "value", "script"), [(f, v, s) for f, v, scripts in SIZES for s in scripts])
def test_a_size_that_fits_no_machine_is_refused(flag, value, script, refused):
    message = refused(*command(script, flag, *value))
    assert "would take " in message
    assert " GB), and this machine has " in message
    assert flag in message


def test_a_finished_stage_is_unlocked(quick, call):
    assert call(*quick(BC_SCRIPT))[0] == 0
    assert not list(Path().rglob(".rlopt.lock"))
    with only_process_in(Path(EXPERT).parent):
        pass
