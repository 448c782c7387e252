"""A full disk, and a folder that goes away, under a run log: one error that says which file, and nothing that hides it."""

import errno
import io
import shutil

import pytest

from rlopt.errors import CannotWrite, UserError
from rlopt.logs import csv_sink, files, run_log
from rlopt.logs.files import append_text, atomic_file, check_writable, open_to_append, tell_how_to_go_on
from rlopt.logs.run_folder import how_to_go_on

from .shared import open_log


class Failing:
    """A file on a disk that is full from the `good`-th write on; what is pending fails again when it is closed."""

    def __init__(self, file, good):
        self.file, self.good, self.full = file, good, False

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, text):
        self.good -= 1
        self.full = self.good < 0
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(text)

    def close(self):
        self.file.close()
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("good", [0, 1, 2, 3])
@pytest.mark.parametrize("module", [csv_sink, run_log])
def test_a_full_disk_names_the_file_and_hides_behind_nothing(module, good, tmp_path, monkeypatch):
    """Neither the line that tells of the error nor the closing of the files raises another one."""
    monkeypatch.setattr(module, "open_to_append", lambda path: Failing(open_to_append(path), good))
    name = "metrics.csv" if module is csv_sink else "rlopt.log"

    def run():
        with open_log(tmp_path) as log:
            for frames in range(5):
                log.metrics({"frames": frames})
                log.info("x")

    with pytest.raises(CannotWrite, match=rf"Cannot write .*{name}: No space left on device; free some space"):
        run()


def test_a_full_disk_does_not_hide_why_a_run_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "open_to_append", lambda path: Failing(open_to_append(path), 0))
    with pytest.raises(KeyboardInterrupt), open_log(tmp_path):
        raise KeyboardInterrupt


def test_a_console_that_cannot_be_written_to_stops_nothing(tmp_path):
    """`2> FILE` on a full disk; rlopt.log, on another one, has the line."""
    with open_log(tmp_path) as log:
        log._console.file = Failing(io.StringIO(), 0)
        log.info("a line")
        assert log._console.file.full
    assert "a line" in (tmp_path / "rlopt.log").read_text()


@pytest.mark.parametrize("what", ["write", "fsync", "close"])
def test_a_file_that_fails_at_any_of_its_steps_leaves_the_old_one(what, tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")

    class Full:
        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()
            if what == "close":
                raise OSError(errno.ENOSPC, "No space left on device")

        def write(self, data):
            if what == "write":
                raise OSError(errno.ENOSPC, "No space left on device")
            return self.file.write(data)

    def fsync(number):
        if what == "fsync":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "open", lambda *args: Full(open(*args)), raising=False)  # noqa: SIM115
    monkeypatch.setattr(files.os, "fsync", fsync)
    with pytest.raises(CannotWrite, match=r"model\.pt: No space left"), atomic_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


def test_a_cleanup_that_fails_does_not_hide_the_error(tmp_path, monkeypatch):
    """A file system that became read-only: nothing can be deleted on it, either."""

    def read_only(self, *args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.Path, "unlink", read_only)
    monkeypatch.setattr(files.os, "replace", read_only)
    with pytest.raises(CannotWrite, match="Read-only file system"), atomic_file(tmp_path / "model.pt"):
        pass


@pytest.mark.parametrize("go", ["deleted", "moved", "replaced"])
def test_a_folder_that_goes_away_ends_the_run_at_the_next_line(go, tmp_path):
    folder = tmp_path / "run"

    def run():
        with open_log(folder) as log:
            log.info("first")
            if go == "deleted":
                shutil.rmtree(folder)
            else:
                folder.rename(tmp_path / "elsewhere")
            if go == "replaced":
                shutil.copytree(tmp_path / "elsewhere", folder)
            log.info("second")

    with pytest.raises(CannotWrite, match=r"Cannot write .*rlopt\.log"):
        run()


@pytest.mark.parametrize("name", ["rlopt.log", "config.json", "metrics.csv"])
def test_a_run_without_its_files_did_not_end_well(name, tmp_path):
    def run():
        with open_log(tmp_path):
            (tmp_path / name).unlink()

    with pytest.raises(CannotWrite, match="No such file"):
        run()


@pytest.mark.parametrize("name", ["rlopt.log", "metrics.csv"])
def test_a_folder_in_the_place_of_a_file_is_a_user_error(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="Cannot write"):
        open_log(tmp_path)


def test_check_writable_looks_at_the_files_too(tmp_path):
    (tmp_path / "results.json").mkdir()
    check_writable(tmp_path, "results.txt")
    with pytest.raises(CannotWrite, match=r"results\.json is a folder there"):
        check_writable(tmp_path, "results.txt", "results.json")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "make it writable"),
        (errno.ENOENT, "see that it can be written"),
    ],
)
def test_the_advice_follows_from_the_error(number, remedy):
    error = OSError(number, "Reason")
    with pytest.raises(CannotWrite) as raised, tell_how_to_go_on(lambda: "ask again"):
        raise CannotWrite("x.pt", error)
    assert str(raised.value).startswith(f"Cannot write x.pt: Reason; {remedy}")
    assert str(raised.value).endswith(", then ask again.")
    with (
        pytest.raises(CannotWrite, match="then first"),
        tell_how_to_go_on(lambda: "second"),
    ):  # who knows best speaks first
        raise CannotWrite("x.pt", error).advise("first")


def test_a_bare_error_of_a_disk_gets_advice_and_no_other_does():
    with (
        pytest.raises(CannotWrite, match=r"Cannot write y: Full; free some space, then go\."),
        tell_how_to_go_on(lambda: "go"),
    ):
        raise OSError(errno.ENOSPC, "Full", "y")
    with pytest.raises(FileNotFoundError), tell_how_to_go_on(lambda: "go"):
        raise FileNotFoundError(errno.ENOENT, "an environment's own", "y")


def test_only_a_whole_run_folder_is_resumed(tmp_path):
    """Where the folder was deleted under the run, a later checkpoint lies there alone."""
    assert how_to_go_on(tmp_path) == "start again"
    (tmp_path / "checkpoint.pt").touch()
    assert how_to_go_on(tmp_path) == "start again"
    (tmp_path / "config.json").touch()
    assert how_to_go_on(tmp_path) == f"add --resume {tmp_path} to the command (step 4: --resume)"


def test_appending_to_what_was_replaced_is_an_error(tmp_path):
    path = tmp_path / "metrics.csv"
    with open_to_append(path) as file:
        append_text(file, "a\n")
        path.rename(tmp_path / "old.csv")
        path.touch()
        with pytest.raises(CannotWrite, match="it was replaced by another file"):
            append_text(file, "b\n")
