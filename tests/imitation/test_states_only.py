"""Demonstrations without actions: states alone, as of motion capture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlopt.agents import GAIL, SQIL, IQLearn
from rlopt.agents.agent import check_expert
from rlopt.config import BCConfig, IPMDConfig
from rlopt.envs.spec import as_spec
from rlopt.errors import UserError
from rlopt.imitation import BC, IPMD, ExpertReplayBuffer, from_episodes, load_demonstrations, save_demonstrations
from rlopt.imitation.arrays import split_episodes
from rlopt.imitation.minari import to_minari
from rlopt.imitation.readers import prepare_demonstrations
from rlopt.peer_config import GAILConfig, IQLearnConfig, SQILConfig
from rlopt.training import train_offline
from rlopt.transition import Transition

LINE = "tests.envs.line:rlopt-test/Line-v0"
"""Two observations, one action, 20 steps."""
SMALL = {"hidden_sizes": (8,), "batch_size": 8}


def walk(steps=20, seed=0):
    return np.random.default_rng(seed).normal(size=(steps + 1, 2)).astype(np.float32)


def demonstrations():
    return from_episodes([{"observations": walk(seed=i)} for i in range(3)], LINE)


def test_episodes_without_actions_lose_no_step(tmp_path):
    data = demonstrations()
    assert data.action.shape == (60, 0)
    assert data.episode_lengths.tolist() == [20, 20, 20]
    torch.testing.assert_close(data.next_observation[19], torch.from_numpy(walk()[-1]))
    path = save_demonstrations(data, tmp_path)
    assert load_demonstrations(path, env=LINE).digest == data.digest
    assert prepare_demonstrations(path).random_return < 0  # of the environment's own actions


def test_rewards_or_next_observations_say_how_many_steps_there_are():
    states = walk()
    with_rewards = from_episodes([{"observations": states[:-1], "rewards": np.ones(20)}], LINE)
    assert len(with_rewards) == 19  # nobody knows what followed the last one
    assert with_rewards.expert_return == 20
    pairs = from_episodes([{"observations": states[:-1], "next_observations": states[1:]}], LINE)
    assert len(pairs) == 20
    with_flags = from_episodes([{"observations": states[:-1], "terminations": np.arange(20) == 19}], LINE)
    assert len(with_flags) == 19


@pytest.mark.parametrize(
    "arrays",
    [
        {"observations": np.concatenate([walk(5), walk(7)]), "episode_lengths": [5, 7]},
        {"observations": np.stack([np.pad(walk(5), ((0, 2), (0, 0))), walk(7)]), "episode_lengths": [5, 7]},
        {"observations": np.stack([np.pad(walk(5), ((0, 2), (0, 0))), walk(7)])},
    ],
    ids=["one after the other", "padded", "padded with zeros"],
)
def test_arrays_of_several_episodes(arrays):
    first, second = split_episodes(arrays, as_spec(LINE))
    np.testing.assert_array_equal(first["observations"], walk(5))
    np.testing.assert_array_equal(second["observations"], walk(7))


def test_actions_of_some_episodes_alone_are_refused():
    episodes = [{"observations": walk()}, {"observations": walk(), "actions": np.zeros((20, 1))}]
    with pytest.raises(UserError, match="1 of 2 episodes have no actions"):
        from_episodes(episodes, LINE)


@pytest.mark.parametrize("inputs", ["s", "ss"])
def test_ipmd_updates_as_if_the_actions_were_hidden(inputs):
    """An update on states alone is the update on the same rows with whatever actions, bit for bit."""
    config = IPMDConfig(reward_inputs=inputs, expert_batch_size=8, **SMALL)
    generator = torch.Generator().manual_seed(0)

    def rows(actions):
        parts = [torch.randn(2, 8, 2, generator=generator), torch.randn(2, 8, actions), torch.zeros(2, 8)]
        return Transition(*parts, torch.randn(2, 8, 2, generator=generator), torch.zeros(2, 8))

    batch, with_actions = rows(1), rows(1)
    ends = []
    for expert in (with_actions, with_actions._replace(action=torch.empty(2, 8, 0))):
        agent = IPMD(config, 2, 1, num_seeds=2)
        agent.update(batch, expert)
        ends.append(agent.reward.net.state_dict() | agent.actor.state_dict())
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name


def test_what_needs_actions_refuses():
    buffer = ExpertReplayBuffer(demonstrations())
    assert buffer.action_size == 0
    assert buffer.sample(4)["action"].shape == (4, 0)
    IPMD(IPMDConfig(reward_inputs="s", **SMALL), 2, 1).set_expert_buffer(buffer)
    for config in (IPMDConfig(**SMALL), IPMDConfig(reward_inputs="ss", expert_ratio=0.5, **SMALL)):
        with pytest.raises(UserError, match="needs the expert's actions, and the demonstrations have none"):
            IPMD(config, 2, 1).set_expert_buffer(buffer)
    check_expert(GAIL(GAILConfig(reward_inputs="s", **SMALL), 2, 1), buffer)
    for agent in (
        GAIL(GAILConfig(**SMALL), 2, 1),
        IQLearn(IQLearnConfig(**SMALL), 2, 1),
        SQIL(SQILConfig(**SMALL), 2, 1),
    ):
        with pytest.raises(UserError, match=f"^{type(agent).__name__} with these settings needs the expert's actions"):
            check_expert(agent, buffer)
    with pytest.raises(UserError, match="BC with these settings needs the expert's actions"):
        train_offline(BC(BCConfig(**SMALL), 2, 1), buffer)
    with pytest.raises(UserError, match="no actions to which noise"):
        demonstrations().with_action_noise(0.1)
    with pytest.raises(UserError, match="Minari stores actions"):
        to_minari(demonstrations(), "line/states-v0")


def test_a_source_of_tensors_without_actions_is_welcome_and_a_misnamed_key_is_not():
    states = torch.randn(101, 2)
    source = {"observation": states[:-1], "next_observation": states[1:]}
    assert ExpertReplayBuffer(source).sample(5)["action"].shape == (5, 0)
    with pytest.raises(UserError, match="'action' is missing, but acts looks like it"):
        ExpertReplayBuffer(source | {"acts": torch.zeros(100, 1)})


def test_actions_of_another_size_are_still_refused():
    data = demonstrations()
    wrong = replace(data, action=torch.zeros(60, 3), action_low=-torch.ones(3), action_high=torch.ones(3))
    with pytest.raises(UserError, match=r"action \[3\]"):
        load_demonstrations(wrong, env=LINE)
