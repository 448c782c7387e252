"""Files of version 2, written by the build before the new names (commit a538031), are read as what they were."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from rlopt.agents import BC, IPMD, SAC, FrozenReward, LearnedReward
from rlopt.agents.saving import load_agent, save_agent
from rlopt.config import BCConfig, IPMDConfig, RunOptions, SACConfig, TrainingConfig
from rlopt.errors import UserError
from rlopt.experiments.expert import collect_expert_data
from rlopt.experiments.learners import train_ipmd
from rlopt.imitation import load_demonstrations
from rlopt.legacy import RENAMED, upgrade_agent, upgrade_checkpoint, upgrade_settings
from rlopt.training.replay import SeedReplayBuffer
from rlopt.training.replay_files import ReplayFiles

FILES = Path(__file__).parent / "fixtures" / "version_2"
EXPECTED = torch.load(FILES / "expected.pt")
MODELS = {
    "sac_expert": (SAC, None),
    "ipmd_model": (IPMD, LearnedReward),
    "sac_on_frozen_reward": (IPMD, FrozenReward),
    "bc_policy_seed44": (BC, None),
}


def assert_gives(agent, expected):
    """These actions and, where there are some, learned rewards; other processors round the last digits otherwise."""
    observation = torch.linspace(-1, 1, 15).view(1, 5, 3).expand(agent.num_seeds, -1, -1)
    action = agent.policy(observation)
    torch.testing.assert_close(action, expected["action"], rtol=1e-5, atol=1e-6)
    if "reward" in expected:
        reward = agent.reward(observation, action, observation + 0.1)
        torch.testing.assert_close(reward, expected["reward"], rtol=1e-5, atol=1e-6)


# --------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", MODELS)
def test_a_model_acts_and_scores_as_it_did(name, tmp_path):
    kind, reward = MODELS[name]
    agent, about = load_agent(FILES / f"{name}.pt")
    assert type(agent) is kind
    assert reward is None or type(agent.reward) is reward
    assert ("reward" in EXPECTED[name]) == (reward is not None)
    assert about["version"] == 2
    assert_gives(agent, EXPECTED[name])
    # and is one of today's once it is written again
    save_agent(tmp_path / "model.pt", agent, about["env_id"], about["seeds"])
    again, about = load_agent(tmp_path / "model.pt")
    assert about["version"] == 3
    assert again.config == agent.config
    assert_gives(again, EXPECTED[name])


def test_former_import_paths_lead_to_the_same():
    """Users' scripts and notebooks were written with them."""
    from rlopt import evaluation, experiments, imitation, runlog, stages, training

    assert stages.RunOptions is RunOptions
    assert stages.StageResult is experiments.run.StageResult
    assert stages.prepare_demonstrations is imitation.readers.prepare_demonstrations
    assert evaluation.Evaluator is training.evaluation.Evaluator
    assert callable(runlog.read_metrics)


def test_settings_of_a_model_have_todays_names():
    config = load_agent(FILES / "ipmd_model.pt")[0].config
    chosen = (config.actor_ema_tau, config.expert_ratio, config.recent_ratio, config.lipschitz_constant)
    assert chosen == (0.01, 0.5, 0.5, 0.5)
    config = load_agent(FILES / "sac_on_frozen_reward.pt")[0].config
    assert (config.actor_ema_tau, config.expert_ratio, config.recent_ratio) == (0.01, 0.0, 0.0)


def test_demonstrations_are_read():
    stored, data = torch.load(FILES / "expert_buffer.pt"), load_demonstrations(FILES / "expert_buffer.pt")
    assert (data.env_id, data.observation_size, data.action_size) == ("Pendulum-v1", 3, 1)
    assert (len(data), data.num_episodes) == (400, 2)
    assert (data.expert_return, data.random_return) == (stored["expert_return"], stored["random_return"])
    for name, value in stored["transitions"].items():
        assert torch.equal(data.transitions[name], value), name


AGENT = {"hidden_sizes": (4, 4), "batch_size": 8}
IPMD_AGENT = {
    **AGENT,
    **{"expert_batch_size": 8, "actor_ema_tau": 0.01, "expert_ratio": 0.5, "lipschitz_constant": 0.5},
}
TRAINING = {
    **{"num_envs": 2, "warmup_frames": 100, "eval_points": 2, "eval_episodes": 1, "updates_per_frame": 0.05},
    **{"compile": False, "steps_per_batch": 8},
}


def interrupted(name, tmp_path):
    """A copy of an interrupted run's folder, and options that log beside it."""
    folder = Path(shutil.copytree(FILES / name, tmp_path / name))
    return folder, RunOptions(device="cpu", log_dir=tmp_path / "logs", wandb=False, show_progress=False)


def resume_ipmd(tmp_path, **changes):
    folder, options = interrupted("run_ipmd", tmp_path)
    demonstrations = str(FILES / "expert_buffer.pt")
    config = json.loads((folder / "config.json").read_text())
    config["config"]["expert_data"] = demonstrations
    (folder / "config.json").write_text(json.dumps(config))
    agent_settings, training = {**IPMD_AGENT, **changes}, {**TRAINING, "lr_decay": 0.5}
    settings = {"agent_settings": agent_settings, "training_settings": training}
    return train_ipmd(demonstrations, frames=320, num_seeds=2, demos=1, resume=folder, options=options, **settings)


def assert_goes_on(result, folder):
    """From the stored agent and history, in new episodes: how environments stood was not stored then."""
    old = torch.load(FILES / folder / "checkpoint.pt")
    assert old["frames"] < result.history.x[-1] == 320
    assert result.history.returns[: len(old["history"]["returns"])] == old["history"]["returns"]
    rows = (result.directory / "metrics.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["frames", "160", "320"]


def test_an_interrupted_ipmd_run_goes_on(tmp_path):
    assert_goes_on(resume_ipmd(tmp_path), "run_ipmd")


def test_an_interrupted_sac_run_goes_on(tmp_path):
    folder, options = interrupted("run_sac", tmp_path)
    settings = {"agent_settings": AGENT, "training_settings": TRAINING, "episodes": 2, "save_dir": tmp_path / "data"}
    result = collect_expert_data("Pendulum-v1", frames=320, num_seeds=2, resume=folder, options=options, **settings)
    assert_goes_on(result, "run_sac")
    assert load_demonstrations(result.demonstrations).num_episodes == 2


@pytest.mark.parametrize(
    ("name", "value", "was"),
    [("expert_ratio", 0.25, 0.5), ("lipschitz_constant", 1.0, 0.5), ("actor_ema_tau", 0.1, 0.01)],
)
def test_an_interrupted_run_is_not_resumed_with_other_settings(name, value, was, tmp_path):
    with pytest.raises(UserError, match=rf"had other settings \(agent.{name}: {was}, now {value}\)"):
        resume_ipmd(tmp_path, **{name: value})


# ------------------------------------------------------------------------------------------------------------ settings

# what IPMDConfig held in version 2, at values under which every option had its effect
OLD = {
    **{"hidden_sizes": (4, 4), "num_critics": 2, "batch_size": 8, "learning_rate": 1e-3, "gamma": 0.99, "tau": 0.005},
    **{"policy_tau": 0.01, "initial_alpha": 1.0, "matmul_precision": "float32", "reward_inputs": "sa"},
    **{"reward_hidden_sizes": None, "reward_learning_rate": 3e-4, "expert_batch_size": 8, "value_regularizer": 0.5},
    **{"gradient_penalty": 2.0, "reward_slope": 0.25, "expert_share": 0.5, "recent_share": 0.75, "inverse_eta": 0.1},
    **{"mirror_period": 50, "average_reward": False, "absorbing_states": True, "min_observation_std": 0.1},
    **{"standardize_observations": True, "entropy_backup": False, "expert_bound": True},
    **{"freeze_reward": False, "use_environment_reward": False},
}


def upgraded(**changes):
    return IPMDConfig(**upgrade_settings({**OLD, **changes}))


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        ("policy_tau", "actor_ema_tau", 0.01),
        ("expert_share", "expert_ratio", 0.5),
        ("recent_share", "recent_ratio", 0.75),
        ("reward_slope", "lipschitz_constant", 0.25),
    ],
)
def test_a_renamed_option_keeps_its_value(old, new, value):
    assert RENAMED[old] == new
    settings = upgrade_settings(OLD)
    assert old not in settings
    assert settings[new] == value
    assert getattr(upgraded(), new) == value


def test_the_loops_option_is_renamed_too():
    assert TrainingConfig(**upgrade_settings({"anneal": 0.5, "frames": 20_000})).lr_decay == 0.5


def test_no_option_is_forgotten():
    """Every name of version 2 is one of today's, renamed, or dropped on purpose."""
    dropped = {"reward_hidden_sizes", "reward_learning_rate", "use_environment_reward", "freeze_reward"}
    assert upgrade_settings(OLD).keys() == {RENAMED.get(name, name) for name in OLD} - dropped
    came_later = {"layer_norm"}
    assert upgrade_settings(OLD).keys() == vars(IPMDConfig()).keys() - came_later
    assert OLD["policy_tau"] == 0.01  # what was given is not changed


@pytest.mark.parametrize("name", ["reward_hidden_sizes", "reward_learning_rate"])
def test_an_option_that_is_gone_is_dropped(name):
    assert name not in upgrade_settings(OLD)
    assert upgraded(**{name: None}) == upgraded()


@pytest.mark.parametrize("name", ["freeze_reward", "use_environment_reward"])
def test_rewards_that_ask_no_expert_drop_what_they_silenced(name):
    config = upgraded(**{name: True})
    assert (config.expert_ratio, config.recent_ratio, config.expert_bound) == (0.0, 0.0, False)
    assert config.lipschitz_constant == 0.25
    plain = upgraded()
    assert (plain.expert_ratio, plain.recent_ratio, plain.expert_bound) == (0.5, 0.75, True)


def test_the_environments_reward_drops_what_it_alone_silenced():
    """Actor and critics had no standardiser then, and critics counted entropy: such a model must be readable."""
    config = upgraded(use_environment_reward=True)
    assert (config.standardize_observations, config.entropy_backup) == (False, True)


@pytest.mark.parametrize(
    ("switch", "option", "default"),
    [
        ({"inverse_eta": 0.0}, "mirror_period", 100),
        ({"gradient_penalty": 0.0}, "lipschitz_constant", 1.0),
        ({"average_reward": True}, "expert_bound", False),
        ({"entropy_backup": True}, "expert_bound", False),
    ],
)
def test_an_option_without_effect_falls_back_to_its_default(switch, option, default):
    assert getattr(upgraded(**switch), option) == default
    assert getattr(upgraded(), option) != default


@pytest.mark.parametrize(("expert_batch_size", "now"), [(8, 32), (32, 32), (40, 40)])
def test_expert_batches_hold_what_the_share_took(expert_batch_size, now):
    assert upgraded(expert_batch_size=expert_batch_size, batch_size=64).expert_batch_size == now


def test_todays_settings_are_left_alone():
    for config in (IPMDConfig(), IPMDConfig(expert_ratio=0.5, inverse_eta=1.0, mirror_period=7), SACConfig()):
        assert type(config)(**upgrade_settings(vars(config))) == config
    assert upgrade_settings(vars(BCConfig())) == vars(BCConfig())
    assert upgrade_settings({}) == {}


# -------------------------------------------------------------------------------------------------------------- states


def test_a_state_is_renamed_part_by_part():
    old = torch.load(FILES / "ipmd_model.pt")["agent"]
    new = upgrade_agent(old)
    assert new["sac"]["ema_actor"] is old["sac"]["mean_actor"]
    assert new["rho"] is old["average_reward"]
    renamed = {
        **{"net": "reward_net", "scoring_net": "mean_reward_net", "optimizer": "reward_optimizer"},
        **{"generator": "reward_generator", "mean_weight": "reward_weight", "highest_reward": "highest_reward"},
        **{"policy_termination_rate": "policy_ends", "expert_termination_rate": "expert_ends"},
    }
    assert new["reward"].keys() == renamed.keys()
    assert all(new["reward"][name] is old[former] for name, former in renamed.items())
    assert "optimizer" not in upgrade_agent(old, frozen=True)["reward"]
    assert upgrade_agent(new) == new
    lone = torch.load(FILES / "bc_policy_seed44.pt")["agent"]
    assert upgrade_agent(lone) == lone


def test_a_checkpoint_is_renamed_and_anything_else_is_not():
    old = torch.load(FILES / "run_sac" / "checkpoint.pt")
    new = upgrade_checkpoint(old, 3)
    assert new["metrics"] is old["info"]
    assert new["agent"]["ema_actor"] is old["agent"]["mean_actor"]
    assert new.keys() == old.keys() - {"info"} | {"metrics"}
    replay = SeedReplayBuffer(1_000, 3, 1, num_seeds=2)
    ReplayFiles(replay, Path("nowhere")).load_state_dict(new["replay"])
    elements = old["replay"]["elements"]  # [n, S, 2O + A + 2], next observations beside the observations
    assert len(replay) == len(elements)
    sampled = replay.sample(50, 400)  # all of them
    assert torch.equal(sampled[:, 0].flatten(0, 1).unique(dim=0), elements[:, 0].unique(dim=0))
    assert torch.equal(sampled[:, 1].flatten(0, 1).unique(dim=0), elements[:, 1].unique(dim=0))
    later = {name: value for name, value in new.items() if name != "replay"}
    assert upgrade_checkpoint(later, 3) is later
    assert upgrade_checkpoint([1], 3) == [1]
