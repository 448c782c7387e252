"""A saved agent is what it was, on every reward; take_seed is tested with the stacked seeds."""

import pytest
import torch

from rlopt.agents import EnvironmentReward, FrozenReward, LearnedReward
from rlopt.agents.saving import load_agent, save_agent, take_seed
from rlopt.errors import UserError

from .shared import A, O, S, build, build_frozen, learned_reward

KINDS = {
    LearnedReward: build,
    FrozenReward: lambda **how: build_frozen(taken=learned_reward(seed=5, hidden_sizes=(16,)), **how),
    EnvironmentReward: lambda **how: build(reward=EnvironmentReward(), **how),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_is_read_back_with_its_reward_and_goes_on_alike(kind, tmp_path, batch, expert, assert_same_state):
    agent = KINDS[kind](average_reward=True)
    for _ in range(3):
        agent.update(batch, expert)
    save_agent(tmp_path / "model.pt", agent, "Pendulum-v1", [4, 5], best_seed=4)
    loaded, about = load_agent(tmp_path / "model.pt")
    assert type(loaded.reward) is kind
    assert loaded.config == agent.config
    assert (loaded.observation_size, loaded.action_size, loaded.num_seeds) == (O, A, S)
    assert (about["kind"], about["env_id"], about["seeds"], about["best_seed"]) == ("ipmd", "Pendulum-v1", [4, 5], 4)
    assert_same_state(loaded.state_dict(), agent.state_dict())
    for _ in range(2):
        assert_same_state(loaded.update(batch, expert), agent.update(batch, expert))
    assert_same_state(loaded.state_dict(), agent.state_dict())


def test_critics_with_layer_norm_are_read_back_with_it(tmp_path, batch, expert, assert_same_state):
    agent, plain = build(layer_norm=True), build()
    assert_same_state(agent.state_dict(), plain.state_dict())
    save_agent(tmp_path / "model.pt", agent, "Pendulum-v1", [4, 5])
    loaded, _ = load_agent(tmp_path / "model.pt")
    told = loaded.update(batch, expert)
    assert_same_state(told, agent.update(batch, expert))
    assert not torch.equal(told["q_mean"], plain.update(batch, expert)["q_mean"])
    nets = (loaded.sac.critic, loaded.sac.target_critic, loaded.actor, loaded.sac.ema_actor, loaded.reward.net)
    assert [net.mlp.layer_norm for net in nets] == [True, True, False, False, False]


def test_one_seed_on_a_frozen_reward_is_taken_with_its_reward(batch):
    agent = build_frozen(taken=learned_reward(seed=5))
    transitions = (batch.observation, batch.action, batch.next_observation)
    for index in range(S):
        lone = build(num_seeds=1)
        lone.load_state_dict(take_seed(agent.state_dict(), index, S))
        mine = slice(index, index + 1)
        own = [value[mine] for value in transitions]
        assert type(lone.reward) is FrozenReward
        torch.testing.assert_close(lone.reward(*own), agent.reward(*transitions)[mine])
        torch.testing.assert_close(lone.policy(own[0]), agent.policy(transitions[0])[mine])


def test_a_file_of_a_later_version_is_refused(tmp_path):
    save_agent(tmp_path / "model.pt", build(), "Pendulum-v1", [4, 5])
    state = torch.load(tmp_path / "model.pt")
    for change in ({"version": 4}, {"version": 1}, {"format": "another"}):
        torch.save({**state, **change}, tmp_path / "other.pt")
        with pytest.raises(UserError, match=r"is no model file of rlopt \(format rlopt-model, version 3\)"):
            load_agent(tmp_path / "other.pt")
