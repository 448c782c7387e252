"""Which settings reach which method of a comparison or study, and that what is recorded is what was trained."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from rlopt.agents import METHODS
from rlopt.config import LoopConfig, RunOptions, TrainingConfig
from rlopt.errors import UserError
from rlopt.experiments import ablations, comparison, expert, run, studies
from rlopt.experiments.run import configure_method, reach
from rlopt.imitation import save_demonstrations
from rlopt.logs.run_folder import to_json
from rlopt.presets import PRESETS

from ..scripts.shared_errors import demonstrations

ALL = [METHODS[name] for name in ("sac", "ipmd", "bc")]


def of_agents(settings):
    return reach(ALL, settings, lambda method: method.config)


# --------------------------------------------------------------------------------------------------------------- reach


def test_a_setting_reaches_every_method_that_has_it():
    assert of_agents({"batch_size": 8, "gamma": 0.9, "value_regularizer": 0.25, "epochs": 3}) == {
        "sac": {"batch_size": 8, "gamma": 0.9},
        "ipmd": {"batch_size": 8, "gamma": 0.9, "value_regularizer": 0.25},
        "bc": {"batch_size": 8, "epochs": 3},
    }
    assert of_agents({"gamma": None}) == of_agents(None) == {"sac": {}, "ipmd": {}, "bc": {}}


@pytest.mark.parametrize("turn", [1, -1])
def test_a_setting_of_one_method_reaches_it_alone_and_wins(turn):
    settings = dict([("ipmd.batch_size", 16), ("batch_size", 8), ("bc.learning_rate", 0.5)][::turn])
    assert of_agents(settings) == {
        "sac": {"batch_size": 8},
        "ipmd": {"batch_size": 16},
        "bc": {"batch_size": 8, "learning_rate": 0.5},
    }


@pytest.mark.parametrize("name", ["gama", "sac.value_regularizer", "bc.gamma", "ppo.gamma"])
def test_a_setting_that_reaches_none_is_refused(name):
    with pytest.raises(UserError, match=f"No method of sac, ipmd, bc has a setting {name}"):
        of_agents({"gamma": 0.9, name: 1})


def test_settings_of_the_loop_reach_bc_where_its_loop_has_them():
    found = reach(ALL, {"num_envs": 2, "eval_episodes": 3}, lambda m: TrainingConfig if m.online else LoopConfig)
    online = {"num_envs": 2, "eval_episodes": 3}
    assert found == {"sac": online, "ipmd": online, "bc": {"eval_episodes": 3}}


@pytest.mark.parametrize(("name", "seed"), [("sac", 42), ("ipmd", 43), ("bc", 44)])
def test_a_methods_configs(name, seed):
    agent, loop = configure_method(METHODS[name], "Pendulum-v1", {"batch_size": 8}, {"num_seeds": 2}, learning_rate=0.5)
    assert (type(agent), type(loop)) == (METHODS[name].config, LoopConfig if name == "bc" else TrainingConfig)
    assert (agent.batch_size, agent.learning_rate, loop.num_seeds, loop.seed) == (8, 0.5, 2, seed)
    agent, loop = configure_method(METHODS[name], "Pendulum-v1", {"batch_size": 8}, {"seed": 7}, batch_size=4, seed=9)
    assert (agent.batch_size, loop.seed) == (4, 9)  # single fields come first
    agent, loop = configure_method(METHODS[name], "Pendulum-v1", {"batch_size": 8}, {"seed": 7}, batch_size=None)
    assert (agent.batch_size, loop.seed) == (8, 7)  # None overrides nothing


# ------------------------------------------------------------------------------------------------ recorded and trained


@pytest.fixture
def trained(monkeypatch):
    """The configs that the loops were given, by method."""
    configs = {}

    def record(train):
        def recorded(agent, *args, **how):
            loop = next((value for value in args if isinstance(value, TrainingConfig)), None)
            name = next(name for name, method in METHODS.items() if method.agent is type(agent))
            assert name not in configs
            configs[name] = (agent.config, loop)
            return train(agent, *args, **how)

        return recorded

    for module, name in ((expert, "train_online"), (run, "train_online"), (run, "train_offline")):
        monkeypatch.setattr(module, name, record(getattr(module, name)))
    return configs


def test_a_comparison_records_what_it_trains(trained, counter_env, tmp_path, monkeypatch):
    preset = {
        "sac": {"hidden_sizes": (8,), "batch_size": 12},
        "ipmd": {"expert_batch_size": 10},
        "bc": {"hidden_sizes": (6,), "batch_size": 14, "learning_rate": 0.004, "min_steps_per_epoch": 2},
    }
    monkeypatch.setitem(PRESETS, counter_env, preset)
    monkeypatch.chdir(tmp_path)
    results = comparison.compare_methods(
        counter_env,
        expert_frames=160,
        ipmd_frames=128,
        bc_epochs=2,
        num_seeds=2,
        agent_settings={"ipmd.batch_size": 16, "value_regularizer": 0.25, "sac.learning_rate": 0.01},
        training_settings={"num_envs": 2, "warmup_frames": 64, "updates_per_frame": 0.25, "eval_points": 2},
        options=RunOptions(device="cpu", wandb=False, show_progress=False),
    )
    assert list(trained) == ["sac", "ipmd", "bc"]
    recorded = results["config"]["stages"]
    for name, (agent, loop) in trained.items():
        assert recorded[name]["agent"] == to_json(asdict(agent)), name
        (path,) = Path("logs", name, counter_env).rglob("config.json")
        config = json.loads(path.read_text())["config"]
        assert config["method"] == name
        assert config["agent"] == recorded[name]["agent"]
        assert config["training"] == recorded[name]["training"]
        if loop is not None:
            assert recorded[name]["training"] == to_json(asdict(loop))
    (sac, _), (ipmd, _), (bc, _) = trained.values()
    assert (sac.batch_size, ipmd.batch_size, bc.batch_size) == (12, 16, 14)
    assert (sac.learning_rate, ipmd.learning_rate, bc.learning_rate) == (0.01, 3e-4, 0.004)
    assert (ipmd.value_regularizer, ipmd.expert_batch_size) == (0.25, 10)
    assert (bc.hidden_sizes, bc.epochs, bc.min_steps_per_epoch) == ((6,), 2, 2)


# -------------------------------------------------------------------------------------------------------------- studies


class Trained(Exception):
    """Training would begin."""


STUDIES = {
    "ablations": lambda path, **how: ablations.run_ablations(path, names=["default"], **how),
    "demonstrations": lambda path, **how: studies.study_demonstrations(path, counts=[1], **how),
}


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_takes_settings_of_ipmd_alone(study, tmp_path, monkeypatch):
    def train(agent, *args, **how):
        raise Trained(agent.config)

    monkeypatch.setattr(run, "train_online", train)
    path = save_demonstrations(demonstrations("Pendulum-v1"), tmp_path / "data")
    with pytest.raises(Trained) as caught:
        STUDIES[study](
            path,
            frames=2000,
            agent_settings={"value_regularizer": 0.25, "gradient_penalty": 2.0, "expert_ratio": 0.125},
            save_dir=tmp_path / "study",
            options=RunOptions(device="cpu", wandb=False, show_progress=False, log_dir=tmp_path / "logs"),
        )
    config = caught.value.args[0]
    assert (config.value_regularizer, config.gradient_penalty, config.expert_ratio) == (0.25, 2.0, 0.125)
