"""What a study costs: hand-computed, and the page that shows it."""

import json
from pathlib import Path

import pytest

from rlopt.errors import UserError
from rlopt.report.cost import CellCost, Costs, Task, cells_of, longest_chain, on_cores, on_gpu

from ..scripts.shared import run_here

ROOT = Path(__file__).parents[2]
WIDE = {"width": 256, "batch_size": 256, "num_seeds": 1, "sac_seconds": [0.002, 9, 0.001], "ipmd_seconds": [0.004]}
SMALL = {"width": 64, "batch_size": 64, "num_seeds": 5, "sac_seconds": [0.001], "ipmd_seconds": [0.002]}
FRAMES = [
    {"env": "A", "threads": 1, "copies": 0, "frames_per_second": [5]},  # gymnasium alone
    {"env": "A", "threads": 1, "copies": 5, "frames_per_second": [500]},
    {"env": "A", "threads": 1, "copies": 64, "frames_per_second": [1_000]},
    {"env": "A", "threads": 2, "copies": 64, "frames_per_second": [2_000]},
    {"env": "B", "threads": 1, "copies": 64, "frames_per_second": [100]},
]
MEASURED = {"sweep": [WIDE | {"bc_seconds": [0.001]}, SMALL | {"bc_seconds": [0.001]}], "collection": FRAMES}


def test_costs_of_an_update_and_of_a_frame():
    costs = Costs(MEASURED)
    assert costs.update("sac", 256, 128, 10) == (
        pytest.approx(0.002 / 2 * 10),
        10,
    )  # the median; half the batch; ten seeds
    assert costs.update("gail", 256, 256, 1) == (pytest.approx(0.004), 1)  # as IPMD
    assert costs.update("sac", 64, 64, 10) == (pytest.approx(0.002), 1)
    assert costs.frame("A") == 1e-3
    assert costs.frame("unknown") == 1e-2
    for measured in ({}, {"sweep": [WIDE]}):
        with pytest.raises(UserError, match="--tables sweep,collection"):
            Costs(measured)
    with pytest.raises(UserError, match="no update of sac of width 32"):
        costs.update("sac", 32, 64, 1)


def test_cells_of_an_environment():
    task = Task("A", 256, 256, expert_frames=1_000, learner_frames=500, updates_per_frame=0.5)
    sac, ipmd, bc = cells_of(task, ["sac", "ipmd", "bc"], 2, Costs(MEASURED))
    assert sac == CellCost("A/sac", pytest.approx(1_000 * (0.5 * 2 * 0.002 + 2 * 0.001)), 2)
    assert ipmd == CellCost("A/ipmd", pytest.approx(500 * (0.5 * 2 * 0.004 + 2 * 0.001)), 2, "A/sac")
    assert bc == CellCost("A/bc", pytest.approx(10_000 * 2 * 0.001), 1, "A/sac")
    rows = [{"width": 256, "sac_seconds": [0.001], "ipmd_seconds": [0.003], "bc_seconds": [0.001]}]
    sac, ipmd, bc = on_gpu(task, ["sac", "ipmd", "bc"], 2, rows, Costs(MEASURED), cores=2)
    assert sac.core_seconds == pytest.approx(
        1_000 * 0.001
    )  # two seeds' frames on two cores take longer than half an update
    assert ipmd.core_seconds == pytest.approx(500 * 0.0015)
    assert bc.core_seconds == pytest.approx(10.0)


CELLS = [CellCost("a", 40, 4), CellCost("b", 10, 1, "a"), CellCost("c", 30, 2, "a"), CellCost("d", 5, 1)]


@pytest.mark.parametrize(
    ("cores", "machines", "seconds"),
    [
        (1, 1, 85),  # all of it
        (4, 1, 25),  # a alone; then c on two, b and d beside it
        (4, 2, 25),  # d is earlier
        (2, 1, 45),  # a 20; c 15; then b 10 beside d
        (64, 9, 25),
    ],
)
def test_cells_on_cores(cores, machines, seconds):
    assert on_cores(CELLS, cores, machines) == pytest.approx(seconds)


def test_what_no_machine_shortens():
    assert longest_chain(CELLS, 1) == 70
    assert longest_chain(CELLS, 64) == 25


def test_the_page_shows_what_the_script_says(monkeypatch, capsys):
    assert run_here(monkeypatch, "estimate_cost.py", ROOT / "docs" / "scale.json") == 0
    assert capsys.readouterr().out in (ROOT / "docs" / "scale.md").read_text()


def test_the_script_takes_the_benchmarks_own_file(monkeypatch, capsys, tmp_path):
    (tmp_path / "throughput.json").write_text(json.dumps(MEASURED))
    words = ["estimate_cost.py", tmp_path / "throughput.json", "--seeds", 1, "--cores", 4, "--machines", 2]
    study = {"study": [{"env": "A", "width": 64, "batch_size": 64, "expert_frames": 10, "learner_frames": 10}]}
    study["study"][0]["updates_per_frame"] = 1
    (tmp_path / "study.json").write_text(json.dumps(study))
    assert run_here(monkeypatch, *words, "--study", tmp_path / "study.json") == 0
    assert [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]] == [
        "1 of 4 cores",
        "2 of 4 cores",
    ]
    assert run_here(monkeypatch, "estimate_cost.py", tmp_path / "nothing.json") == 2
    assert "The benchmark's JSON not found" in capsys.readouterr().err
    assert run_here(monkeypatch, *words[:2], "--seeds", 0) == 2
