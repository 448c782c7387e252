"""Cells sent, kept, tried again and cancelled, on machines that are this process."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from rlopt.cores import available_workers
from rlopt.envs.spec import env_spec
from rlopt.errors import UserError
from rlopt.experiments import cells
from rlopt.experiments.cell_flags import add_cell_flags, carry_out, over
from rlopt.experiments.cells import Resources
from rlopt.experiments.ray.cluster import fitted
from rlopt.experiments.ray.dispatch import Dispatch
from rlopt.experiments.ray.modules import own_modules
from rlopt.experiments.ray.packing import unpack
from rlopt.experiments.ray.perform import Order, importing_from, perform
from rlopt.logs.board import Board, Row

from ..test_cells import planned, scores
from .shared import Here, marks, toy_plan


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield tmp_path
    torch.set_num_threads(1)


def dispatch(machines, *plans):
    return Dispatch(machines, plans, lambda name, needed: needed, live=False)


def test_run_folders_come_back_and_paths_are_those_of_this_machine(workplace):
    plan, kept = toy_plan(["a", "b"])
    assert dispatch(Here(), plan).run() == [kept]
    folders = [Path(kept[name]["directory"]) for name in ("a", "b")]
    # both had the same name there
    assert [folder.name for folder in folders] == ["2026-01-31_09-05-00", "2026-01-31_09-05-00_2"]
    for name, folder in zip("ab", folders, strict=True):
        files = {path.name for path in folder.iterdir()}
        assert files == {"config.json", "metrics.csv", "metrics.crc32", "rlopt.log", f"{name}_model.pt", "toy_seed1.pt"}
        assert (folder / "toy_seed1.pt").read_bytes() == name.encode()  # each has its own
        assert not Path(kept[name]["cwd"]).exists()
    assert Path("logs/toy/Pendulum-v1/toy_seed1.pt").read_bytes() == b"b"  # of the last one
    assert os.getcwd() == str(workplace)


def test_cores_are_set_for_each_cell_of_a_process(monkeypatch):
    """torch keeps the number that it was loaded with, in a worker that did another cell before."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    machines = Here()
    plan, kept = toy_plan(["a", "b", "c"])
    cpus = iter([2, 1, 3])
    Dispatch(machines, [plan], lambda name, needed: Resources(next(cpus)), live=False).run()
    assert [(kept[name]["threads"], kept[name]["workers"]) for name in "abc"] == [(2, 2), (1, 1), (3, 3)]
    assert available_workers() == 3


@pytest.mark.parametrize("error", ["sentence", "crash"])
def test_a_cell_that_fails_goes_on_from_its_last_checkpoint(error, capsys):
    machines = Here()
    plan, kept = toy_plan(["a"], a={"fail_at": 2, "error": error})
    dispatch(machines, plan).run()
    assert kept["a"]["first"] == 2
    assert [order.attempt for order in machines.orders] == [1, 2]
    assert machines.orders[0].begun is None
    assert "checkpoint.pt" in machines.orders[1].begun.names
    assert "failed (" in capsys.readouterr().err
    (folder,) = Path("logs/toy/Pendulum-v1").glob("*/config.json")  # the same one, with all rows
    assert folder.with_name("metrics.csv").read_text().split() == ["steps,value", "1,1", "2,2", "3,3"]
    assert marks("logs") == []


def test_a_cell_that_cannot_be_done_leaves_the_others(capsys):
    plan, kept = toy_plan(["a", "b", "c"], {"c": ("a",)}, a={"fail_at": 0})
    with pytest.raises(UserError, match=r"2 of 3 cells failed \(a: It failed at 0; c: needs a, which failed\)"):
        dispatch(Here(), plan).run()
    assert list(kept) == ["b"]
    assert os.getcwd()


def test_what_is_needed_comes_first_and_what_is_there_is_not_sent():
    machines = Here()
    plan, kept = toy_plan(["a", "b", "c"], {"b": ("c",)})
    kept["a"] = {"name": "a"}
    dispatch(machines, plan).run()
    assert [order.cell for order in machines.orders] == ["c", "b"]


def test_an_interrupted_command_keeps_checkpoints_and_goes_on():
    class Interrupted(Here):
        def finished(self, references, seconds):
            if len(self.orders) == 1 and not self.cancelled and not self.ended:
                super().finished(references, seconds)  # it stops at 2 of 3
                raise KeyboardInterrupt
            return references

    machines = Interrupted()
    plan, kept = toy_plan(["a"], a={"fail_at": 2})
    with pytest.raises(KeyboardInterrupt):
        dispatch(machines, plan).run()
    assert machines.cancelled == [1]
    assert marks("logs") == ["a"]
    again = Here()
    plan, kept = toy_plan(["a"], a={"fail_at": 2})
    dispatch(again, plan).run()
    assert [order.begun_in for order in again.orders] == ["toy/Pendulum-v1/2026-01-31_09-05-00"]
    assert kept["a"]["first"] == 2
    other, _ = toy_plan(["b"])  # another cell's run is not its own
    machines = Here()
    dispatch(machines, other).run()
    assert machines.orders[0].begun is None


def test_what_fits_on_no_machine_is_refused_before_anything_is_sent():
    largest = {"CPU": 4.0, "GPU": 0.0, "memory": 2e9}
    assert fitted("a", Resources(16, int(1e9)), largest) == Resources(4, int(1e9))
    for needed, words in ((Resources(1, int(3e9)), "3.0 GB of memory"), (Resources(gpus=1.0), "1 GPUs")):
        machines = Here()
        plan, _ = toy_plan(["a"])
        with pytest.raises(UserError, match=words):
            Dispatch(machines, [plan], lambda name, _, needed=needed: fitted(name, needed, largest), live=False).run()
        assert machines.orders == []


def test_a_comparison_elsewhere_is_the_one_here(assert_same_state):
    """Demonstrations go there and come back; nothing there is written here."""
    here = cells.run_in_turn(planned("here"))
    there = dispatch(Here(), planned("there")).run()[0]
    assert scores(there) == scores(here)
    assert not Path("logs").exists()
    models = [sorted(Path(f"{folder}/logs").rglob("*.pt")) for folder in ("here", "there")]
    assert [path.name for path in models[0]] == [path.name for path in models[1]]
    for one, other in zip(*models, strict=True):
        assert_same_state(torch.load(one)["agent"], torch.load(other)["agent"])
    stages = torch.load("there/Pendulum-v1/stages.pt")["stages"]
    for name in ("sac", "ipmd", "bc"):
        result = stages[name]["result"]
        assert Path(result["directory"]).is_dir()
        assert result["demonstrations"] == "expert_data/Pendulum-v1/expert_buffer.pt"
        assert Path(result["demonstrations"]).exists()


def test_modules_of_the_user_travel(workplace, monkeypatch):
    (workplace / "my_task.py").write_text("NUMBER = 7\n")
    monkeypatch.syspath_prepend(str(workplace))
    spec = type("Spec", (), {"env_id": "my_task:Mine-v0", "source": "my_task:Mine-v0"})()
    packed = own_modules([spec, env_spec("Pendulum-v1")], [], workplace)
    assert packed.names == ("my_task.py",)
    (workplace / "my_task.py").unlink()
    sys.modules.pop("my_task", None)
    unpack(packed, workplace / "there")
    with importing_from(workplace / "there"):
        assert __import__("my_task").NUMBER == 7
    assert str(workplace / "there") not in sys.path
    assert own_modules([env_spec("Pendulum-v1")], [], workplace) is None


def test_a_cell_can_be_interrupted_where_the_signal_was_ignored():
    """So it is in what a shell runs in the background, and in all that this starts."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        order = Order("a", 1, lambda: {"caught": signal.getsignal(signal.SIGINT) is signal.default_int_handler}, {}, 1)
        assert perform(order, [].append).result == {"caught": True}
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_table_of_all_cells():
    lines = []
    board = Board(["a", "b"], False, lines.append)
    board.change("a", "running", where="node1", attempt=2)
    board.rows["a"].done, board.rows["a"].total, board.rows["a"].unit = 50, 200, "frames"
    board.rows["a"].latest = {"return": -3.25}
    assert lines == ["a: running, try 2 · node1"]
    assert board.rows["a"].cells(board.rows["a"].began + 65) == [
        "running, try 2",
        "node1",
        "25% of 200 frames",
        "1:05",
        "return -3.25",
    ]
    board.change("b", "failed", "no memory")
    assert board.table().row_count == 2
    assert Row().cells(0.0) == ["waiting", "", "", "", ""]


def flags(*words):
    import argparse

    parser = argparse.ArgumentParser()
    add_cell_flags(parser)
    return parser.parse_args(words)


def test_what_a_cell_asks_for_can_be_said(capsys):
    args = flags("--cells", "--cell-cpus", "3", "--cell-memory", "1.5", "--cell-gpus", "0.25")
    assert over(Resources(1, 10, 1.0), args) == Resources(3, 1_500_000_000, 0.25)
    assert over(Resources(1, 10, 0.0), args).gpus == 0  # not on a GPU
    assert carry_out([toy_plan(["a"])[0]], args) is None
    assert capsys.readouterr().out.splitlines()[1] == "a\t3\t1.5G\t0\t-"
    with pytest.raises(UserError, match="--cell-cpus has no effect without --ray or --cells"):
        carry_out([], flags("--cell-cpus", "3"))
    with pytest.raises(UserError, match="cell_memory must be positive"):
        carry_out([], flags("--cells", "--cell-memory", "0"))
    assert (flags("--ray").ray, flags("--ray", "auto").ray, flags().ray) == ("local", "auto", None)


def test_without_ray_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    args = flags("--ray")
    args.show_progress = None
    with pytest.raises(UserError, match=r"pip install 'rlopt\[ray\]'"):
        carry_out([toy_plan(["a"])[0]], args)
