"""`--cells` and `--cell NAME` of the four commands, as typed."""

from pathlib import Path

import pytest

from .shared import COMPARE, run_here

DATA = "data/expert_buffer.pt"
QUIET = ("--device", "cpu", "--no-progress", "--no-wandb")
TINY = (
    *QUIET,
    "--num-seeds",
    2,
    "--num-envs",
    2,
    "--warmup-frames",
    100,
    "--updates-per-frame",
    0.05,
    "--eval-points",
    2,
)
TINY = (*TINY, "--batch-size", 8, "--hidden-size", 8, "--eval-episodes", 1)
COMMANDS = {
    "04": (COMPARE, [], ["sac", "ipmd", "bc"]),
    "ablations": ("study_ablations.py", [DATA, "--names", "default", "1/eta = 1"], ["default", "1-eta-1"]),
    "demonstrations": ("study_demonstrations.py", [DATA, "--counts", 1, 2], ["ipmd", "bc"]),
    "reproduce": ("reproduce_results.py", ["--envs", "Pendulum-v1", "Hopper-v5"], ["sac", "ipmd", "bc"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_lists_its_cells_and_trains_nothing(name, call, workplace):
    script, words, cells = COMMANDS[name]
    code, out, err = call(script, *words, *QUIET, "--cells")
    assert code == 0, err
    prefix = f"Pendulum-v1/{name}/" if name in ("ablations", "demonstrations") else "Pendulum-v1/"
    names = [line.split("\t")[0] for line in out.splitlines()]
    assert names[: len(cells) + 1] == ["cell", *(prefix + cell for cell in cells)]
    assert names[len(cells) + 1 :] == ([f"Hopper-v5/{cell}" for cell in cells] if name == "reproduce" else [])
    assert not list(Path().rglob("config.json"))


def test_a_cell_from_the_shell_then_the_whole_command(call, workplace):
    words = ["study_ablations.py", *COMMANDS["ablations"][1], *TINY, "--frames", 200]
    code, out, err = call(*words, "--cell", "Pendulum-v1/ablations/1-eta-1")
    assert code == 0, err
    assert "Pendulum-v1/ablations/1-eta-1 is finished" in out
    assert len(list(Path("logs").rglob("config.json"))) == 1
    code, out, err = call(*words)
    assert code == 0, err
    assert [line.split("  ")[0] for line in out.splitlines()] == ["default", "1/eta = 1"]
    assert len(list(Path("logs").rglob("config.json"))) == 2
    code, _, err = call(*words, "--cell", "default")
    assert code == 2
    assert err.startswith("error: There is no cell 'default'")


@pytest.mark.slow
def test_reproduced_results_in_cells(call, workplace):
    words = ["reproduce_results.py", "--envs", "Pendulum-v1", *TINY, "--frames-scale", 0.02, "--min-steps-per-epoch", 1]
    assert call(*words, "--cell", "Pendulum-v1/bc")[0] == 2
    for name in ("sac", "bc"):
        code, _, err = call(*words, "--cell", f"Pendulum-v1/{name}")
        assert code == 0, err
    assert (workplace / "reproduced_results/Pendulum-v1/stages.cells/bc.pt").exists()
    code, out, err = call(*words)
    assert code == 0, err
    assert out.splitlines()[2].startswith("| Pendulum-v1 | 1 |")
    assert len(list(Path("logs").rglob("config.json"))) == 3


def test_seeds_per_cell_reaches_the_comparison(call, workplace):
    words = [COMPARE, *QUIET, "--num-seeds", 3, "--seeds-per-cell", 2, "--cells"]
    assert "Pendulum-v1/ipmd/seeds-44-44" in call(*words)[1]
    code, out, _ = call("reproduce_results.py", "--envs", "Pendulum-v1", *words[1:])
    assert code == 0
    assert "Pendulum-v1/bc/seeds-42-43" in out


def test_one_thing_at_a_time(monkeypatch, capsys):
    assert run_here(monkeypatch, COMPARE, "--cells", "--cell", "x") == 2
    assert "not allowed with argument" in capsys.readouterr().err
