"""Cells: listed, run alone and collected, they come to what the whole command comes to, bit for bit."""

import json
from pathlib import Path

import pytest
import torch

from rlopt.config import BCConfig, IPMDConfig, LoopConfig, RunOptions, TrainingConfig
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.experiments import cells, comparison, learners, studies
from rlopt.experiments.cells import listed, resources_of, run_alone
from rlopt.experiments.stage_cache import slug
from rlopt.logs.run_folder import to_json
from rlopt.report.summaries import merged_summaries

from .test_studies import QUIET, TINY
from .test_studies import expert_data as expert_data  # a fixture

SMALL = {"hidden_sizes": (8, 8), "batch_size": 8, "ipmd.expert_batch_size": 8, "bc.min_steps_per_epoch": 5}


def planned(save_dir="out", **how):
    """A comparison on Pendulum of two seeds, some hundred frames each."""
    given = {"expert_frames": 400, "ipmd_frames": 400, "bc_epochs": 2, "num_seeds": 2, "demos": 2, "resume": True}
    settings = {"agent_settings": SMALL, "training_settings": TINY["training_settings"]}
    options = RunOptions(log_dir=f"{save_dir}/logs", **QUIET)
    spec = env_spec("Pendulum-v1", max_episode_steps=20)  # evaluations take their time
    return comparison.plan_comparison(spec, **{**given, **settings, "save_dir": save_dir, "options": options, **how})


def scores(results):
    """All but clocks and paths."""
    parts = [
        {name: {k: v for k, v in method.items() if k != "wall_seconds"} for name, method in results["methods"].items()},
        results["reward_recovery"],
        results["expert_return"],
    ]
    return json.loads(json.dumps(to_json(parts)))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_cells_that_run_alone_come_to_what_the_whole_command_comes_to(workplace, monkeypatch, assert_same_state):
    whole = cells.run_in_turn(planned("whole"))
    with pytest.raises(UserError, match="run Pendulum-v1/sac before those that learn from it"):
        run_alone([planned("alone")], "Pendulum-v1/ipmd")
    for name in ("sac", "bc", "ipmd"):  # each as a process of its own would
        run_alone([planned("alone")], f"Pendulum-v1/{name}")
    assert sorted(path.name for path in Path("alone/Pendulum-v1/stages.cells").iterdir()) == [
        "bc.pt",
        "ipmd.pt",
        "sac.pt",
    ]
    with pytest.raises(UserError, match="add --resume to collect them"):
        cells.run_in_turn(planned("alone", resume=False))
    monkeypatch.setattr(learners, "train_method", lambda *args, **how: pytest.fail("a finished cell ran again"))
    assert scores(cells.run_in_turn(planned("alone"))) == scores(whole)
    assert not list(Path("alone/Pendulum-v1/stages.cells").iterdir())  # stages.pt has them
    assert scores(cells.run_in_turn(planned("alone"))) == scores(whole)
    models = [sorted(Path(f"{folder}/logs").rglob("*.pt")) for folder in ("whole", "alone")]
    assert [path.name for path in models[0]] == [path.name for path in models[1]]
    assert len(models[0]) == 2 + 2 * 2  # and policies of BC in the run folder and beside it
    for one, other in zip(*models, strict=True):
        assert_same_state(torch.load(one)["agent"], torch.load(other)["agent"])


def test_a_study_collects_its_cells(workplace, expert_data, monkeypatch):
    def plan(save_dir):
        how = {"counts": [1, 3], "frames": 200, "bc_epochs": 1, "num_seeds": 2, **TINY}
        return studies.plan_demonstrations(
            expert_data, save_dir=save_dir, options=RunOptions(log_dir=save_dir, **QUIET), **how
        )

    whole = cells.run_in_turn(plan("whole"))
    for name in ("bc", "ipmd"):
        run_alone([plan("alone")], f"Pendulum-v1/demonstrations/{name}")
    monkeypatch.setattr(studies, "train", lambda *args, **how: pytest.fail("a finished cell ran again"))
    assert cells.run_in_turn(plan("alone"))["methods"] == whole["methods"]
    files = [Path(folder, "Pendulum-v1", "demonstrations.json").read_text() for folder in ("whole", "alone")]
    assert json.loads(files[0]) == json.loads(files[1])


def test_seeds_in_cells_of_their_own(workplace, expert_data):
    plan = planned(num_seeds=3, seeds_per_cell=2)
    names = ["sac", "ipmd/seeds-42-43", "ipmd/seeds-44-44", "bc/seeds-42-43", "bc/seeds-44-44"]
    assert [cell.name for cell in plan.cells] == [f"Pendulum-v1/{name}" for name in names]
    assert [cell.needs for cell in plan.cells] == [(), *[("Pendulum-v1/sac",)] * 4]
    results = cells.run_in_turn(planned(num_seeds=3, seeds_per_cell=2, expert_data=expert_data))
    assert results["seeds"] == [42, 43, 44]
    assert [len(results["methods"][name]["return_per_seed"]) for name in ("ipmd", "bc")] == [3, 3]
    assert len(results["reward_recovery"]["pearson_per_seed"]) == 3
    seeds = sorted(
        json.loads(path.read_text())["config"]["training"]["seed"] for path in Path("out/logs").rglob("config.json")
    )
    assert seeds == [42, 42, 44, 44]
    with pytest.raises(UserError, match="seeds_per_cell must be positive"):
        planned(seeds_per_cell=0)


def test_an_unknown_cell_is_refused_with_those_that_there_are(workplace):
    with pytest.raises(
        UserError, match=r"There is no cell 'ipmd': --cells lists them \(Pendulum-v1/sac, Pendulum-v1/ipmd"
    ):
        run_alone([planned()], "ipmd")


def test_runs_with_the_same_seeds_keep_their_own_policies(workplace, expert_data):
    """Those beside the run folders are of the latest run."""
    how = {"agent_settings": {"hidden_sizes": (8,), "batch_size": 8, "min_steps_per_epoch": 5}, "num_seeds": 2}
    runs = [learners.train_bc(expert_data, epochs=n, options=RunOptions(**QUIET), **how).directory for n in (1, 2)]
    first, second = ((run / "bc_policy_seed45.pt").read_bytes() for run in runs)
    assert first != second
    assert (runs[0].parent / "bc_policy_seed45.pt").read_bytes() == second


def test_cores_and_memory_of_a_cell():
    wide = {"hidden_sizes": (256, 256), "batch_size": 256}
    training = TrainingConfig(num_seeds=5, frames=100_000)
    needed = resources_of(IPMDConfig(**wide), training, (17, 6), "cpu")
    assert needed.cpus == 5  # a wide network's seeds are updated by a thread each
    assert needed.gpus == 0
    replay = (100_000 + 64 + 8) * 5 * (17 + 6 + 3) * 4
    assert 600e6 + replay < needed.memory < 1.5e9 + replay
    assert (
        resources_of(IPMDConfig(**wide), TrainingConfig(num_seeds=5, frames=6_000), (17, 6), "cpu").cpus == 1
    )  # not compiled
    assert resources_of(IPMDConfig(), TrainingConfig(workers=3), (17, 6), "cpu").cpus == 3
    assert resources_of(IPMDConfig(), TrainingConfig(env_workers=4), (17, 6), "cuda:0").cpus == 4
    assert resources_of(IPMDConfig(), TrainingConfig(), (17, 6), "cuda:0").gpus == 1
    assert resources_of(BCConfig(), LoopConfig(), (17, 6), "cpu").cpus == 1


def test_the_list(workplace):
    first, second, *_ = listed(planned().cells)
    assert first.split("\t") == ["cell", "cpus", "memory", "gpus", "needs"]
    assert second.split("\t") == ["Pendulum-v1/sac", "1", "0.6G", "0", "-"]


def test_names_for_files_and_command_lines():
    assert slug("1/eta = 1, period 1000") == "1-eta-1-period-1000"
    assert slug("reward r(s, a, s')") == "reward-r-s-a-s"


def summary(returns, pearson, loss):
    history = {
        "unit": "frames",
        "x": [5, 10],
        "returns": [[r] for r in returns],
        "success_rates": [],
        "wall_seconds": 2.0,
    }
    recovery = {"pearson": pearson, "pearson_per_seed": [pearson]}
    rest = {"directory": f"run{pearson}", "wall_seconds": 2.0, "demonstrations": "e.pt", "demonstrations_sha256": None}
    history["losses"] = {"critic_loss": [[loss], [loss]]}
    return {"returns": [returns], "successes": None, "history": history, "reward_recovery": recovery, **rest}


def test_summaries_of_some_seeds_each_are_put_side_by_side():
    one, other = summary([1.0, 2.0], 0.5, 0.1), summary([3.0, 4.0], None, 0.2)
    merged = merged_summaries([one, other])
    assert merged["returns"] == [[1.0, 2.0], [3.0, 4.0]]
    assert merged["history"]["returns"] == [[1.0, 3.0], [2.0, 4.0]]
    assert merged["history"]["losses"] == {"critic_loss": [[0.1, 0.2], [0.1, 0.2]]}
    assert merged["history"]["success_rates"] == []
    assert merged["directories"] == ["run0.5", "runNone"]
    assert merged["wall_seconds"] == merged["history"]["wall_seconds"] == 4.0
    assert merged["reward_recovery"] == {"pearson": None, "pearson_per_seed": [0.5, None]}
    assert merged_summaries([one, summary([3.0, 4.0], 1.0, 0.2)])["reward_recovery"]["pearson"] == 0.75
    assert merged_summaries([one]) == one
