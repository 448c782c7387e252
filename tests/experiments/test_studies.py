"""The studies: their groups, their files, and that they go on where they were stopped."""

import json

import pytest
import torch

from rlopt.agents import IPMD
from rlopt.config import IPMDConfig, RunOptions
from rlopt.errors import UserError
from rlopt.experiments import ablations, run, studies
from rlopt.imitation import Demonstrations, ExpertReplayBuffer, save_demonstrations

QUIET = {"wandb": False, "device": "cpu", "show_progress": False}
TINY = {
    "agent_settings": {"hidden_sizes": (8, 8), "batch_size": 8, "expert_batch_size": 8},
    "training_settings": {
        "warmup_frames": 100,
        "updates_per_frame": 0.05,
        "num_envs": 2,
        "eval_episodes": 1,
        "eval_points": 2,
    },
}


@pytest.fixture
def expert_data(tmp_path):
    n, generator = 30, torch.Generator().manual_seed(0)
    walks = torch.randn(3, 11, 3, generator=generator)
    data = Demonstrations(
        env_id="Pendulum-v1",
        observation=walks[:, :-1].flatten(0, 1),
        action=torch.rand(n, 1, generator=generator) * 2 - 1,
        next_observation=walks[:, 1:].flatten(0, 1),
        reward=torch.zeros(n),
        terminated=torch.zeros(n, dtype=torch.bool),
        truncated=torch.zeros(n, dtype=torch.bool),
        episode_lengths=torch.tensor([10, 10, 10]),
        action_low=torch.tensor([-2.0]),
        action_high=torch.tensor([2.0]),
        expert_return=-150.0,
        random_return=-1200.0,
    )
    return save_demonstrations(data, tmp_path / "expert")


def constant_expert(value):
    fill = torch.full((20, 3), float(value))
    return ExpertReplayBuffer(
        {"observation": fill, "action": torch.linspace(-1, 1, 20)[:, None], "next_observation": fill}
    )


def test_every_group_of_seeds_gets_its_own_demonstrations():
    experts = studies.GroupedExperts([constant_expert(1), constant_expert(2)], group_size=3)
    with pytest.raises(ValueError, match="2 groups of 3"):
        experts.sample_packed(1, 5, 5)
    agent = IPMD(IPMDConfig(hidden_sizes=(4,), expert_batch_size=5), 3, 1, num_seeds=6)
    agent.set_expert_buffer(experts)  # which the loop takes
    packed = experts.sample_packed(2, agent.num_seeds, agent.expert_batch_size)  # for two updates at once: same groups
    assert packed.shape == (2, 6, 5, 9)
    assert packed[:, :3, :, :3].unique().tolist() == [1.0]
    assert packed[:, 3:, :, :3].unique().tolist() == [2.0]


@pytest.mark.pictures
def test_demonstration_study_writes_every_cell(tmp_path, expert_data):
    results = studies.study_demonstrations(
        expert_data,
        counts=[1, 3],
        frames=200,
        bc_epochs=1,
        num_seeds=2,
        save_dir=tmp_path / "study",
        options=RunOptions(log_dir=tmp_path / "logs", **QUIET),
        **TINY,
    )
    folder = tmp_path / "study" / "Pendulum-v1"
    assert json.loads((folder / "demonstrations.json").read_text())["counts"] == [1, 3]
    assert (folder / "demonstrations.png").stat().st_size > 1000
    for cells in results["methods"].values():
        assert [len(cell["normalized_per_seed"]) for cell in cells] == [2, 2]


@pytest.mark.pictures
def test_ablations_keep_what_is_finished(tmp_path, expert_data, monkeypatch):
    def ablate(names):
        return ablations.run_ablations(
            expert_data,
            names=names,
            frames=200,
            num_seeds=2,
            save_dir=tmp_path / "study",
            options=RunOptions(log_dir=tmp_path / "logs", **QUIET),
            **TINY,
        )

    first = ablate(["default"])["ablations"]["default"]
    trained = []
    train_online = run.train_online
    monkeypatch.setattr(
        run, "train_online", lambda agent, *a, **k: trained.append(agent) or train_online(agent, *a, **k)
    )
    both = ablate(["default", "1/eta = 1"])["ablations"]
    assert [agent.config.inverse_eta for agent in trained] == [1.0]
    assert both["default"] == first
    assert (tmp_path / "study" / "Pendulum-v1" / "ablations.png").stat().st_size > 1000


def test_unknown_ablation_is_named(expert_data, tmp_path):
    with pytest.raises(UserError, match="no such thing"):
        ablations.run_ablations(expert_data, names=["no such thing"], options=RunOptions(log_dir=tmp_path, **QUIET))
