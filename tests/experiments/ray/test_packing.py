"""Folders as values."""

import io
import os
import pickle
import tarfile

import pytest

from rlopt.errors import CannotWrite, UserError
from rlopt.experiments.ray.attempts import Attempts, sentence_of
from rlopt.experiments.ray.packing import Packed, pack, unpack


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_comes_back_whole(tmp_path):
    write(tmp_path / "a", x_txt="1", replay__0_pt="22", wandb__run__f_txt="3")
    (tmp_path / "a" / "link").symlink_to("x.txt")
    packed = pickle.loads(pickle.dumps(pack(tmp_path / "a")))
    unpack(packed, tmp_path / "b")
    assert read(tmp_path / "b") == {"x.txt": "1", "replay/0.pt": "22", "wandb/run/f.txt": "3"}


def test_only_what_has_changed_is_sent_and_what_has_gone_goes(tmp_path):
    write(tmp_path / "a", x_txt="1", replay__0_pt="2", checkpoint_pt="3")
    first = pack(tmp_path / "a")
    unpack(first, tmp_path / "b")
    write(tmp_path / "b", cell_json="mine", _rlopt_lock="")  # which stay
    (tmp_path / "a" / "replay" / "0.pt").unlink()
    write(tmp_path / "a", replay__1_pt="4", checkpoint_pt="55")
    second = pack(tmp_path / "a", first.stamps)
    assert set(second.names) == {"x.txt", "replay/1.pt", "checkpoint.pt"}
    with tarfile.open(fileobj=io.BytesIO(second.content)) as tar:
        assert set(tar.getnames()) == {"replay/1.pt", "checkpoint.pt"}
    unpack(second, tmp_path / "b")
    assert read(tmp_path / "b") == {
        "x.txt": "1",
        "replay/1.pt": "4",
        "checkpoint.pt": "55",
        "cell.json": "mine",
        ".rlopt.lock": "",
    }


def test_the_checkpoint_is_written_last(tmp_path, monkeypatch):
    """It names files of `replay`: stopped in between, the old one still finds its own."""
    write(tmp_path / "a", checkpoint_pt="new", replay__1_pt="x", z_txt="y")
    write(tmp_path / "b", checkpoint_pt="old", replay__0_pt="x")
    order, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: order.append(os.path.basename(new)) or replace(old, new))
    unpack(pack(tmp_path / "a"), tmp_path / "b")
    assert order[-1] == "checkpoint.pt"
    assert not (tmp_path / "b" / "replay" / "0.pt").exists()


def test_a_part_of_it(tmp_path):
    write(tmp_path / "a", logs__run__x_txt="1", data__y_txt="2")
    unpack(pack(tmp_path / "a"), tmp_path / "b", "logs/run")
    assert read(tmp_path / "b") == {"x.txt": "1"}


def test_a_name_that_leads_out_is_refused(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../x.txt"), io.BytesIO())
    with pytest.raises(ValueError, match="leads out"):
        unpack(Packed(("../x.txt",), buffer.getvalue()), tmp_path / "b")


class Wrapped(UserError):
    """As Ray raises a task's error: of its class, with a traceback as its text."""

    def __init__(self, cause):
        super().__init__(f"ray::perform() (pid=1)\n  File x, line 1\n{cause}")
        self.cause = cause


def test_the_sentence_of_an_error_is_its_causes():
    assert sentence_of(Wrapped(UserError("Say this."))) == "Say this."
    assert sentence_of(UserError("Say this.")) == "Say this."
    assert sentence_of(MemoryError()) == "MemoryError"
    lost = type("NodeDiedError", (Exception,), {"__module__": "ray.exceptions"})
    assert sentence_of(lost("The node is dead. To see why, read the logs")) == "NodeDiedError: The node is dead"
    assert sentence_of(KeyError("x\ny")) == "KeyError: 'x\\ny'"


def test_a_full_disks_sentence_travels():
    error = pickle.loads(pickle.dumps(CannotWrite("x.pt", OSError(28, "No space left on device"))))
    assert str(error) == "Cannot write x.pt: No space left on device; free some space or choose another output folder."
    assert "go on" in str(error.advise("go on"))


def test_what_is_tried_again():
    lost = Attempts()
    assert [lost.failed(MemoryError("node died")) for _ in range(3)] == [True, True, False]
    assert lost.number == 3
    moving = Attempts()
    for _ in range(10):  # checkpoints come in between
        assert moving.failed(MemoryError("node died"))
        moving.progressed()
    assert moving.number == 11
    wrong = Attempts()
    assert [wrong.failed(Wrapped(UserError("Wrong."))) for _ in range(2)] == [True, False]
    changing = Attempts()
    assert changing.failed(UserError("Full disk on one."))
    assert changing.failed(UserError("Full disk on two."))
    assert changing.last == "Full disk on two."
