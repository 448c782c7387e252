"""Methods that rlopt does not know: one file and one line each, and every part of the library takes them."""

import json
from functools import partial

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from rlopt.agents import METHODS, Method, get_method, method_of, register
from rlopt.agents.saving import load_agent
from rlopt.config import RunOptions, TrainingConfig
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.evaluation import evaluate
from rlopt.experiments.comparison import compare_methods
from rlopt.experiments.learners import train_method
from rlopt.experiments.studies import study_demonstrations
from rlopt.imitation import ExpertReplayBuffer, save_demonstrations
from rlopt.imitation.recording import record_demonstrations
from rlopt.report.run_folders import gather_runs
from rlopt.training import train_offline, train_online
from rlopt.training.evaluation import random_policy

from . import offline_iqlearn, red

ENV = "Pendulum-v1"
SPEC = env_spec(ENV, max_episode_steps=50)
"""Evaluations take their time."""
SMALL = {"hidden_sizes": (8, 8), "batch_size": 8, "expert_batch_size": 8}
LOOP = {"num_envs": 2, "warmup_frames": 100, "eval_points": 2, "eval_episodes": 1, "updates_per_frame": 0.1}


@pytest.fixture(autouse=True)
def registered():
    before = dict(METHODS)
    register(red.METHOD)
    register(offline_iqlearn.METHOD)
    yield
    METHODS.clear()
    METHODS.update(before)


@pytest.fixture(scope="module")
def demonstrations():
    return record_demonstrations(random_policy(1), SPEC, episodes=3, expert_return=-20.0)


@pytest.fixture
def path(demonstrations, tmp_path):
    return save_demonstrations(demonstrations, tmp_path / "data")


@pytest.fixture
def options(tmp_path):
    return RunOptions(device="cpu", log_dir=tmp_path / "logs", wandb=False, show_progress=False)


def test_a_method_of_ones_own_is_a_short_file():
    with open(red.__file__) as file:
        assert sum(1 for _ in file) <= 85


def test_seeds_train_stacked_and_are_those_of_separate_runs(demonstrations):
    config = red.REDConfig(**SMALL)
    training = TrainingConfig(frames=400, num_seeds=2, **LOOP)
    agent = red.RED(config, 3, 1, num_seeds=2, seed=training.seed)
    before = [parameter.clone() for parameter in agent.predictor.parameters()]
    history = train_online(agent, ENV, training, ExpertReplayBuffer(demonstrations))
    assert all(
        (new != old).flatten(1).any(1).all() for new, old in zip(agent.predictor.parameters(), before, strict=True)
    )
    assert {"prediction_loss", "critic_loss"} <= history.losses.keys()
    # its standardiser saw the demonstrations before the first update
    mean, _ = ExpertReplayBuffer(demonstrations).observation_statistics()
    torch.testing.assert_close(agent.predictor.standardizer.mean, mean)


def test_compiled_updates_do_what_plain_ones_do(demonstrations, assert_same_state, caplog, monkeypatch):
    backend = CompileCounterWithBackend("eager")  # needs no C++ compiler
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    monkeypatch.setattr("rlopt.training.update_runner._CPU_OPTIONS", None)

    def trained(compiled):
        agent = red.RED(red.REDConfig(**SMALL), 3, 1, num_seeds=2, seed=1)
        training = TrainingConfig(frames=240, num_seeds=2, compile=compiled, **LOOP)
        train_online(agent, ENV, training, ExpertReplayBuffer(demonstrations))
        return agent.state_dict()

    assert_same_state(trained(True), trained(False), rtol=1e-2, atol=1e-3)
    assert not [record for record in caplog.records if record.name == "rlopt"]  # compiled code was not given up
    assert backend.frame_count == 1


@pytest.mark.pictures
def test_stages_know_it(path, options, tmp_path):
    result = train_method(
        "red", path, frames=400, num_seeds=2, agent_settings=SMALL, training_settings=LOOP, options=options
    )
    assert result.directory.parent == options.log_dir / "red" / ENV
    loaded, about = load_agent(result.directory / "red_model.pt")
    assert (about["kind"], about["seeds"]) == ("red", [48, 49])
    assert isinstance(loaded, red.RED)
    assert loaded.config == result.agent.config
    expected = evaluate(result.agent.policy, ENV, num_seeds=2, episodes=1)
    assert (evaluate(loaded.policy, ENV, num_seeds=2, episodes=1) == expected).all()
    runs = gather_runs([str(result.directory)], expert_data=path)
    runs.draw(tmp_path / "runs.png")
    assert runs.standing["red"]["frames"] == 400
    assert (tmp_path / "runs.png").exists()


@pytest.mark.pictures
def test_a_comparison_and_a_study_take_it(path, options, tmp_path):
    how = {"agent_settings": {**SMALL, "min_steps_per_epoch": 2}, "options": options, "num_seeds": 2, "bc_epochs": 2}
    results = compare_methods(
        SPEC,
        methods=("ipmd", "red", "offline_iqlearn", "bc"),
        **{"expert_data": path, "ipmd_frames": 400, "demos": 2, "save_dir": tmp_path / "out"},
        **{"training_settings": LOOP, **how},
    )
    assert set(results["methods"]) == {"ipmd", "red", "offline_iqlearn", "bc"}
    assert results["methods"]["red"]["frames"] == 400
    assert results["methods"]["offline_iqlearn"]["epochs"] == 2
    assert results["config"]["stages"]["red"]["agent"]["expert_batch_size"] == 8
    folder = tmp_path / "out" / ENV
    assert json.loads((folder / "results.json").read_text())["methods"].keys() == results["methods"].keys()
    table = (folder / "results.txt").read_text()
    assert "RED" in table
    assert "Offline IQ-Learn" in table
    for name in ("comparison.png", "learning_curves.png"):
        assert (folder / name).stat().st_size > 10_000

    study = study_demonstrations(
        path,
        **{"counts": (1, 2), "methods": ("red",), "frames": 400, "save_dir": tmp_path / "study"},
        **{"training_settings": LOOP, **how, "agent_settings": SMALL},
    )
    assert [len(cell["normalized_per_seed"]) for cell in study["methods"]["red"]] == [2, 2]


def test_the_offline_loop_trains_critics(demonstrations):
    config = offline_iqlearn.OfflineIQLearnConfig(hidden_sizes=(32, 32), batch_size=32, learning_rate=3e-3, epochs=4)
    agent = offline_iqlearn.OfflineIQLearn(config, 3, 1, num_seeds=2)
    history = train_offline(agent, ExpertReplayBuffer(demonstrations))
    losses = torch.tensor(history.losses["iqlearn_loss"])  # [epochs, S]
    assert losses.shape == (4, 2)
    assert (losses[-1] < losses[0]).all()


def test_what_is_not_registered_is_refused():
    with pytest.raises(UserError, match=r"no method 'dagger': choose from sac, ipmd, bc, gail, iqlearn, sqil, red"):
        get_method("dagger")
    with pytest.raises(UserError, match="not registered"):
        method_of(object())
    register(Method("red", "RED 2", red.RED, red.REDConfig, "#000000", "X", "x.pt"))  # replaces its namesake
    assert get_method("red").title == "RED 2"
