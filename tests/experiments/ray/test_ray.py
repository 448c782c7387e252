"""A real Ray on this machine: what it does to errors, working folders, threads and workers that die."""

import os
from pathlib import Path

import pytest

from rlopt.errors import UserError
from rlopt.experiments.cells import Resources
from rlopt.experiments.ray.dispatch import Dispatch

from .shared import marks, toy_plan

pytest.importorskip("ray")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cluster():
    from rlopt.experiments.ray.cluster import Cluster

    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{ROOT}:{before}"  # workers find these tests
    cluster = Cluster(cpus=2)
    yield cluster
    cluster.close()
    os.environ["PYTHONPATH"] = before


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(cluster, plan, cpus=2):
    given = iter(cpus) if isinstance(cpus, list) else iter([cpus] * 9)
    return Dispatch(cluster, [plan], lambda name, needed: Resources(next(given)), live=False).run()


def test_a_worker_is_reused_and_each_cell_has_its_own_cores_and_folder(cluster):
    plan, kept = toy_plan(["a", "b", "c"], {"b": ("a",), "c": ("b",)})
    run(cluster, plan, [1, 2, 1])
    assert [(kept[name]["threads"], kept[name]["workers"]) for name in "abc"] == [
        (count, min(count, os.cpu_count())) for count in (1, 2, 1)
    ]
    assert kept["a"]["process"] == kept["c"]["process"] != os.getpid()
    assert len({kept[name]["cwd"] for name in "abc"}) == 3
    folder, process = cluster.ray.get(cluster.ray.remote(num_cpus=1)(lambda: (os.getcwd(), os.getpid())).remote())
    assert process != kept["a"]["process"] or "rlopt-cell-" not in folder
    assert all(Path(kept[name]["directory"]).is_dir() for name in "abc")


def test_an_error_is_told_in_its_own_sentence(cluster):
    plan, _ = toy_plan(["a"], a={"fail_at": 0})
    with pytest.raises(UserError) as caught:
        run(cluster, plan)
    assert str(caught.value).startswith("1 of 1 cells failed (a: It failed at 0). ")


def test_a_worker_that_dies_is_replaced_and_goes_on_from_the_last_checkpoint(cluster):
    plan, kept = toy_plan(["a"], a={"fail_at": 2, "error": "kill"})
    run(cluster, plan)
    assert kept["a"]["first"] == 2
    assert marks("logs") == []
