"""One process per folder, and what a killed one leaves behind."""

import signal
import subprocess
import sys
import time

import pytest

from rlopt.errors import CannotWrite, UserError
from rlopt.logs.files import atomic_file
from rlopt.logs.lock import only_process_in, remove_temporary_files

HOLD = """
import sys, time
from rlopt.logs.lock import only_process_in
with only_process_in(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def holder(tmp_path):
    """Another process that holds `tmp_path`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_changes_nothing(tmp_path, holder):
    (tmp_path / ".model.pt.0123abcd.tmp").write_bytes(b"half of what the other process writes")
    before = names(tmp_path)
    with pytest.raises(UserError, match=r"Another process is at work in .*: wait until it ends, or choose another"):
        only_process_in(tmp_path).__enter__()
    assert names(tmp_path) == before


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_process_holds_nothing(tmp_path, holder, kill):
    holder.send_signal(kill)
    holder.wait()
    with only_process_in(tmp_path):
        pass
    assert names(tmp_path) == []  # the killed process's lock file, too


def test_who_waits_gets_the_folder(tmp_path, holder):
    begun = time.monotonic()
    with pytest.raises(UserError, match="Another process"):
        only_process_in(tmp_path, wait=0.3).__enter__()
    assert time.monotonic() - begun >= 0.3
    subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -9 {holder.pid}"])
    with only_process_in(tmp_path, wait=20):
        pass


def test_a_folder_can_be_held_twice_by_one_process_and_again(tmp_path):
    """A comparison whose --save-dir is expert_data writes its expert's demonstrations into the folder that it holds."""
    for _ in range(2):
        with only_process_in(tmp_path), only_process_in(tmp_path / ".." / tmp_path.name):
            assert names(tmp_path) == [".rlopt.lock"]
        assert names(tmp_path) == []


def test_a_failure_frees_the_folder(tmp_path):
    with pytest.raises(ZeroDivisionError), only_process_in(tmp_path):
        1 / 0  # noqa: B018
    with only_process_in(tmp_path):
        pass


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with only_process_in(tmp_path / "none"):
        pass
    assert names(tmp_path) == []


def test_a_lock_that_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / ".rlopt.lock").mkdir()
    with pytest.raises(CannotWrite, match="Cannot write"):
        only_process_in(tmp_path).__enter__()


def test_half_written_files_are_removed_and_no_others(tmp_path):
    """Those of a killed process: what `atomic_file` writes to has such a name, and nothing else has."""
    kept = ["checkpoint.pt", ".notes.tmp", ".model.pt.0123abcd.tmp.txt", "model.pt.0123abcd.tmp", ".x.0123ABCD.tmp"]
    for folder in (tmp_path, tmp_path / "replay"):
        folder.mkdir(exist_ok=True)
        for name in [*kept, ".checkpoint.pt.0123abcd.tmp", ".metrics.csv.ffffffff.tmp"]:
            (folder / name).write_text("")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / ".model.pt.0123abcd.tmp").write_text("of a folder that is not held")
    with only_process_in(tmp_path):
        pass
    assert names(tmp_path / "replay") == sorted(kept)
    assert names(tmp_path) == sorted([*kept, "replay", "deeper"])
    assert names(tmp_path / "deeper") == [".model.pt.0123abcd.tmp"]


def test_what_atomic_file_writes_to_is_recognised(tmp_path):
    writing = atomic_file(tmp_path / "model.pt")
    writing.__enter__()
    assert len(names(tmp_path)) == 1
    remove_temporary_files(tmp_path)
    assert names(tmp_path) == []
    with pytest.raises(CannotWrite, match="No such file"):
        writing.__exit__(None, None, None)
