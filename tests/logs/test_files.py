"""Atomic save and safe load: what a crash, a full disk and a hostile file leave behind."""

import os
import pickle
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from rlopt.errors import UserError
from rlopt.logs.files import (
    append_text,
    atomic_file,
    check_writable,
    load_safely,
    save_atomically,
    write_text_atomically,
)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_what_is_saved_is_loaded_and_folders_are_made(tmp_path):
    state = {"weights": torch.arange(6.0).reshape(2, 3), "step": 7, "seeds": [42, 43], "env_id": "Pendulum-v1"}
    path = tmp_path / "a" / "b" / "model.pt"
    save_atomically(path, state)
    loaded = load_safely(path, what="Model")
    assert torch.equal(loaded.pop("weights"), state.pop("weights"))
    assert loaded == state
    assert names(path.parent) == {"model.pt"}


def test_file_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        save_atomically(tmp_path / "model.pt", 1)
    finally:
        os.umask(old)
    assert (tmp_path / "model.pt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("leaf", [np.float64(1.0), np.zeros(2), Path("model.pt"), lambda: None, TensorDict()])
def test_what_could_not_be_loaded_is_not_saved(tmp_path, leaf):
    path = tmp_path / "model.pt"
    save_atomically(path, {"step": 1})
    with pytest.raises(TypeError, match=r"state\['metadata'\]\[1\] is a"):
        save_atomically(path, {"metadata": [0, leaf]})
    assert load_safely(path, what="Model") == {"step": 1}


def test_state_dicts_are_plain(tmp_path):
    net = torch.nn.Linear(2, 3)
    adam = torch.optim.Adam(net.parameters())
    net(torch.ones(2)).sum().backward()
    adam.step()
    save_atomically(tmp_path / "model.pt", {"net": net.state_dict(), "adam": adam.state_dict()})
    loaded = load_safely(tmp_path / "model.pt", what="Model")
    assert torch.equal(loaded["net"]["weight"], net.weight)
    assert torch.equal(loaded["adam"]["state"][0]["exp_avg"], adam.state_dict()["state"][0]["exp_avg"])


def test_a_save_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    save_atomically(path, {"step": 1})

    def fail(state, file):
        file.write(b"half")
        raise MemoryError

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(MemoryError):
        save_atomically(path, {"step": 2})
    monkeypatch.undo()
    assert load_safely(path, what="Model") == {"step": 1}
    assert names(tmp_path) == {"model.pt"}


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_waits_until_the_file_is_whole(stop, tmp_path, monkeypatch):
    """Raised inside torch's writer it would come out as a RuntimeError, or bring the process down."""
    path = tmp_path / "model.pt"
    before = signal.signal(stop, signal.default_int_handler)
    save = torch.save

    def interrupted_save(state, file):
        def write(data):
            signal.raise_signal(stop)
            return file.write(data)

        save(state, SimpleNamespace(write=write, flush=file.flush))

    monkeypatch.setattr(torch, "save", interrupted_save)
    with pytest.raises(KeyboardInterrupt):
        save_atomically(path, {"step": 2, "weights": torch.ones(1000)})
    assert load_safely(path, what="Model")["step"] == 2
    assert names(tmp_path) == {"model.pt"}
    assert signal.signal(stop, before) is signal.default_int_handler


def test_a_file_can_be_saved_in_another_thread(tmp_path):
    """Where signal handlers may not be set."""
    with ThreadPoolExecutor() as pool:
        pool.submit(save_atomically, tmp_path / "model.pt", {"step": 1}).result()
    assert load_safely(tmp_path / "model.pt", what="Model") == {"step": 1}


@pytest.mark.parametrize("limit", [0, 500, 100_000, 400_000])
def test_a_full_disk_is_a_user_error_and_keeps_the_old_file(tmp_path, limit):
    # A file-size limit makes write() fail in the middle of torch's archive, as a full disk does.
    path = tmp_path / "model.pt"
    save_atomically(path, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(UserError, match=r"Cannot write .*model\.pt: File too large; free some space"):
            save_atomically(path, {"weights": torch.zeros(100_000)})
        with pytest.raises(UserError, match=r"Cannot write .*notes\.txt"):
            write_text_atomically(tmp_path / "notes.txt", "x" * 500_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert load_safely(path, what="Model") == {"step": 1}
    assert names(tmp_path) == {"model.pt"}


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for act in (
        lambda: save_atomically(tmp_path / "file" / "model.pt", 1),
        lambda: write_text_atomically(tmp_path / "file" / "deeper" / "notes.txt", ""),
        lambda: check_writable(tmp_path / "file" / "out"),
        lambda: check_writable(tmp_path / "file"),
    ):
        with pytest.raises(UserError, match="Cannot write"):
            act()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_a_user_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        check_writable(tmp_path)
    tmp_path.chmod(0o700)


def test_check_writable_makes_the_folder_and_leaves_it_empty(tmp_path):
    check_writable(tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == set()


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError) as raised:
        load_safely(tmp_path / "none.pt", what="Expert buffer", hint="Run the first script.")
    assert str(raised.value) == f"Expert buffer not found: {tmp_path / 'none.pt'}. Run the first script."


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        load_safely(tmp_path, what="Expert buffer")


class _Attack:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("writer", ["torch", "torch-legacy", "pickle"])
def test_pickled_code_is_refused_and_not_executed(tmp_path, writer):
    path, marker = tmp_path / "evil.pt", tmp_path / "executed"
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"observation": _Attack(marker)}))
    else:
        torch.save({"observation": _Attack(marker)}, path, _use_new_zipfile_serialization=writer == "torch")
    with pytest.raises(UserError, match=r"Expert buffer .*evil\.pt is refused"):
        load_safely(path, what="Expert buffer")
    assert not marker.exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 0.999))
def test_every_truncation_is_refused(tmp_path, cut):
    path = tmp_path / "model.pt"
    save_atomically(path, {"weights": torch.arange(100.0)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(UserError, match="is refused"):
        load_safely(path, what="Model")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.binary(max_size=200))
def test_foreign_bytes_are_refused(tmp_path, contents):
    path = tmp_path / "foreign.pt"
    path.write_bytes(contents)
    with pytest.raises(UserError, match="is refused"):
        load_safely(path, what="Model")


def test_text_is_replaced_whole(tmp_path):
    path = tmp_path / "results.txt"
    write_text_atomically(path, "first, and longer")
    write_text_atomically(path, "± second\n")
    assert path.read_text(encoding="utf-8") == "± second\n"


def test_a_block_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "plot.png"
    path.write_bytes(b"old")

    def fail():
        with atomic_file(path) as file:
            file.write(b"new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"plot.png"}


def test_appended_text_is_on_disk_at_once(tmp_path):
    with open(tmp_path / "rlopt.log", "a") as file:
        append_text(file, "first\n")
        append_text(file, "second\n")
        assert (tmp_path / "rlopt.log").read_text() == "first\nsecond\n"
    with pytest.raises(
        UserError, match=r"Cannot write /dev/full: No space left on device; free some space or choose another"
    ):
        append_text(open("/dev/full", "w", buffering=1), "x\n")  # noqa: SIM115  # line-buffered: empty after the failure


def test_a_run_is_recorded_and_a_missing_file_answered_without_torch(tmp_path):
    """Torch takes seconds to import; `--help`, a bad flag and a bad path should not wait for it."""
    code = """
import sys
import rlopt.runlog
from rlopt.errors import UserError
from rlopt.logs.files import check_writable, load_safely, write_text_atomically
check_writable(".")
write_text_atomically("notes.txt", "x")
with rlopt.runlog.RunLog("run", config={"device": "cpu"}, title="SAC", total=1) as log:
    log.metrics({"frames": 1})
for missing in ("none.pt", "."):
    try:
        load_safely(missing, what="Model")
    except UserError:
        pass
print(sorted({"torch", "tensordict", "numpy", "wandb"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
