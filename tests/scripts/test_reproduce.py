"""`reproduce_results.py`: what it asks of the pipeline, what it keeps, and its table."""

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rlopt.agents import METHODS
from rlopt.config import configure
from rlopt.experiments import comparison, expert
from rlopt.experiments.cells import Cell, Plan
from rlopt.experiments.run import reach
from rlopt.imitation import Demonstrations, save_demonstrations

from .shared import run_here

SCRIPT = "reproduce_results.py"


def falls_twice(env_id):
    """Four demonstrations: one that falls, one that lies there for the rest, a good one, and one that falls."""
    return Demonstrations(
        env_id=env_id,
        observation=torch.zeros(7, 2),
        action=torch.zeros(7, 1),
        next_observation=torch.zeros(7, 2),
        reward=torch.tensor([1.0, 2, 0, 20, 15, 10, 1]),
        terminated=torch.tensor([True, False, False, False, False, False, True]),
        truncated=torch.tensor([False, False, True, False, False, True, False]),
        episode_lengths=torch.tensor([1, 2, 3, 1]),
        action_low=-torch.ones(1),
        action_high=torch.ones(1),
        expert_return=50.0,
        random_return=-2.0,
    )


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What the pipeline is asked for, which answers as if it had been done."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def collect(env_id, *, frames, num_seeds, save_dir, agent_settings, **settings):
        calls.append((env_id, "sac", frames, num_seeds, agent_settings))
        save_demonstrations(falls_twice(env_id), Path(save_dir) / env_id)
        return SimpleNamespace(summary=dict)

    def compare(env_id, *, methods, ipmd_frames, num_seeds, save_dir, demos, skip_demos, agent_settings, **settings):
        calls.append((env_id, "ipmd", ipmd_frames, num_seeds, agent_settings, skip_demos))
        method = {"frames": ipmd_frames, "epochs": 100, "return_mean": 40.0}
        method |= {"normalized_iqm": 0.75, "normalized_ci95": [0.5, None], "normalized_per_seed": [0.75]}
        results = {"env": env_id, "seeds": [42], "demonstrations": demos, "random_return": -2.0, "expert_return": 50.0}
        results["methods"] = dict.fromkeys(methods, method)
        (Path(save_dir) / env_id).mkdir(parents=True)
        (Path(save_dir) / env_id / "results.json").write_text(json.dumps(results))
        cells = [Cell(f"{env_id}/{name}", lambda: None) for name in methods]
        return Plan(cells, nullcontext, lambda: results)

    monkeypatch.setattr(expert, "collect_expert_data", collect)
    monkeypatch.setattr(comparison, "plan_comparison", compare)
    return calls


def settings_of(call, learners=("ipmd", "bc")):
    """What each method of a call gets of its settings."""
    names = ["sac"] if call[1] == "sac" else learners
    return reach([METHODS[name] for name in names], call[4], lambda method: method.config)


def reproduce(monkeypatch, *flags):
    return run_here(monkeypatch, SCRIPT, "--device", "cpu", "--no-wandb", *flags)


def test_budgets_and_seeds(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", "Swimmer-v5", "--frames-scale", 0.5, "--num-seeds", 3) == 0
    assert [call[:4] for call in asked] == [
        ("Pendulum-v1", "sac", 25_000, 1),
        ("Pendulum-v1", "ipmd", 10_000, 3),
        ("Swimmer-v5", "sac", 100_000, 5),  # one seed may not find the stroke
        ("Swimmer-v5", "ipmd", 25_000, 3),
    ]


def test_settings_of_a_task_and_flags_before_them(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Ant-v5", "Walker2d-v5", "--gamma", 0.9) == 0
    of_ipmd = {"batch_size": 128, "expert_batch_size": 128, "gamma": 0.9}
    assert [settings_of(call) for call in asked] == [
        {"sac": {"batch_size": 128, "gamma": 0.9}},
        {"ipmd": of_ipmd, "bc": {}},  # the task's are IPMD's alone
        {"sac": {"gamma": 0.9}},
        {"ipmd": of_ipmd, "bc": {}},
    ]
    asked.clear()
    assert reproduce(monkeypatch, "--envs", "Ant-v5", "--batch-size", 32, "--save-dir", "other") == 0
    assert [settings_of(call) for call in asked] == [
        {"sac": {"batch_size": 32}},
        {"ipmd": {"batch_size": 32, "expert_batch_size": 128}, "bc": {"batch_size": 32}},
    ]


def test_settings_of_ipmd_alone_reach_neither_expert_nor_bc(asked, monkeypatch):
    flags = ["--value-regularizer", 0.25, "--gradient-penalty", 2, "--expert-ratio", 0.125, "--no-absorbing-states"]
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", *flags) == 0
    own = {"value_regularizer": 0.25, "gradient_penalty": 2.0, "expert_ratio": 0.125, "absorbing_states": False}
    assert [settings_of(call) for call in asked] == [{"sac": {}}, {"ipmd": own, "bc": {}}]


def test_peers_get_what_they_have_of_a_tasks_settings(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Walker2d-v5", "--methods", "ipmd,gail,sqil", "--no-absorbing-states") == 0
    batches, both = {"batch_size": 128, "expert_batch_size": 128}, {"absorbing_states": False}
    expected = {"ipmd": batches | both, "gail": batches | both, "sqil": {"batch_size": 128}}
    assert settings_of(asked[-1], expected) == expected


def test_the_table_has_a_column_for_every_learner(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", "--methods", "sqil", "ipmd,iqlearn") == 0
    Path("reproduced_results/Pendulum-v1/results.json").rename("kept.json")
    Path("reproduced_results/Swimmer-v5").mkdir()
    assert reproduce(monkeypatch, "--envs", "Hopper-v5", "--methods", "bc") == 0
    Path("kept.json").rename("reproduced_results/Pendulum-v1/results.json")
    assert reproduce(monkeypatch, "--table-only") == 0
    head, _, *rows = Path("reproduced_results/table.md").read_text().splitlines()
    first = "Environment | Demos | Random | Expert"
    assert (
        head
        == f"| {first} | IPMD frames | IPMD return | IPMD score | IQ-Learn score | SQIL score | BC score | IQ-Learn |"
    )
    score = "0.750 [0.500, nan]"
    told = ("3,546 of 3,533 (500,000 frames)", "")
    assert rows == [
        f"| Pendulum-v1 | 1 | -2.0 | 50.0 | 20,000 | 40.0 | {score} | {score} | {score} |  | {told[1]} |",
        f"| Hopper-v5 | 1 | -2.0 | 50.0 |  |  |  |  |  | {score} | {told[0]} |",
    ]


def test_an_unknown_learner_is_refused_before_anything_is_trained(asked, monkeypatch, capsys):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", "--methods", "ipmd,dagger") == 2
    assert "There is no method 'dagger'" in capsys.readouterr().err
    assert asked == []


def test_settings_of_all_tasks_are_fields_of_the_agents(asked, monkeypatch):
    assert reproduce(monkeypatch) == 0
    assert len(asked) == 20
    for call in asked:
        for name, settings in settings_of(call).items():
            configure(METHODS[name].config, call[0], settings)


@pytest.mark.parametrize(("demos", "skipped"), [(1, 2), (2, 2), (3, 1), (4, 0)])
def test_demonstrations_that_fall_are_left_out_as_long_as_enough_are_there(demos, skipped, asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Hopper-v5", "--demos", demos) == 0
    assert asked[-1][-1] == skipped


def test_expert_seeds_that_are_asked_for_hold_everywhere(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", "Swimmer-v5", "--expert-seeds", 2) == 0
    assert [seeds for _, kind, _, seeds, *_ in asked if kind == "sac"] == [2, 2]


def test_an_expert_that_is_there_is_not_trained_again(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1") == 0
    asked.clear()
    Path("reproduced_results/Pendulum-v1/results.json").unlink()
    Path("reproduced_results/Pendulum-v1").rmdir()
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1") == 0
    assert [call[:4] for call in asked] == [("Pendulum-v1", "ipmd", 20_000, 5)]


def test_the_table(asked, monkeypatch, capsys):
    assert reproduce(monkeypatch, "--envs", "Hopper-v5") == 0
    table = Path("reproduced_results/table.md").read_text()
    printed = capsys.readouterr().out
    assert printed == f"{table}\n{Path('reproduced_results/methods.md').read_text()}\n"
    row = table.splitlines()[2]
    assert "| Hopper-v5 | 1 | -2.0 | 50.0 | 200,000 | 40.0 | 0.750 [0.500, nan] |" in row
    assert "3,546 of 3,533" in row

    asked.clear()
    assert reproduce(monkeypatch, "--table-only") == 0  # of what is there, without training
    assert asked == []
    assert capsys.readouterr().out == printed


def test_several_numbers_of_demonstrations_share_the_expert(asked, monkeypatch):
    words = ["--envs", "Pendulum-v1", "--demos", 1, 3, "--ipmd-frames", 5_000, "--methods", "ipmd,gail"]
    assert reproduce(monkeypatch, *words) == 0
    assert [(call[1], call[2], call[-1]) for call in asked[1:]] == [("ipmd", 5_000, 2), ("ipmd", 5_000, 1)]
    assert [call[1] for call in asked] == ["sac", "ipmd", "ipmd"]
    for folder, demos in (("", 1), ("demos-3/", 3)):
        results = json.loads(Path(f"reproduced_results/{folder}Pendulum-v1/results.json").read_text())
        assert results["demonstrations"] == demos
    rows = Path("reproduced_results/table.md").read_text().splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["1", "3"]
    rows = Path("reproduced_results/methods.md").read_text().splitlines()[2:6]
    assert [row.split(" | ")[1:3] for row in rows] == [["1", "IPMD"], ["1", "GAIL"], ["3", "IPMD"], ["3", "GAIL"]]


@pytest.mark.parametrize("flags", [("--demos", 2, 0), ("--ipmd-frames", 0)])
def test_numbers_that_mean_nothing_are_refused_before_anything_is_trained(flags, asked, monkeypatch, capsys):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", *flags) == 2
    assert "must be positive" in capsys.readouterr().err
    assert asked == []


def test_a_number_of_demonstrations_that_is_given_twice_is_one(asked, monkeypatch):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", "--demos", 2, 2) == 0
    assert [call[1] for call in asked] == ["sac", "ipmd"]


def test_cells_of_several_numbers_of_demonstrations_have_names_of_their_own(asked, monkeypatch, capsys):
    words = ["--envs", "Pendulum-v1", "--demos", 1, 3]
    assert reproduce(monkeypatch, *words, "--cells") == 0
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()[1:]]
    learners = [f"Pendulum-v1/{name}" for name in ("ipmd", "bc", "demos-3/ipmd", "demos-3/bc")]
    assert names == ["Pendulum-v1/sac", *learners]


def test_an_expert_no_better_than_random_has_no_score(asked, monkeypatch, capsys):
    assert reproduce(monkeypatch, "--envs", "Hopper-v5") == 0
    path = Path("reproduced_results/Hopper-v5/results.json")
    results = json.loads(path.read_text())
    results["methods"]["ipmd"] |= {"normalized_iqm": None, "normalized_ci95": [None, None]}
    path.write_text(json.dumps(results))
    assert reproduce(monkeypatch, "--table-only") == 0
    assert "| 40.0 | nan [nan, nan] | 0.750 [0.500, nan] |" in capsys.readouterr().out


def test_budgets_too_small_for_an_episode_are_refused_before_anything_is_trained(asked, monkeypatch, capsys):
    assert reproduce(monkeypatch, "--envs", "Pendulum-v1", "Hopper-v5", "--frames-scale", 0.001) == 2
    assert "raise --frames-scale" in capsys.readouterr().err
    assert asked == []


def test_an_empty_table_says_so(asked, monkeypatch, capsys):
    assert reproduce(monkeypatch, "--table-only") == 0
    assert capsys.readouterr().out == "Nothing in reproduced_results yet.\n"


@pytest.mark.parametrize("text", ['{"half', "[]", '{"methods": {}}', '{"methods": {"ipmd": 3, "bc": {}}}'])
def test_damaged_results_are_refused_in_one_sentence(asked, monkeypatch, capsys, text):
    path = Path("reproduced_results/Hopper-v5/results.json")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert reproduce(monkeypatch, "--table-only") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(path) in line
