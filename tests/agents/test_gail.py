"""GAIL on SAC: the discriminator's logit is the reward that is learned from, and an end is worth the absorbing state's."""

import math

import pytest
import torch

from rlopt.agents import GAIL
from rlopt.errors import UserError
from rlopt.networks import RewardNet, seed_generators
from rlopt.peer_config import GAILConfig
from rlopt.transition import Transition

from .shared import A, B, O, S


def build(seed=0, **settings):
    config = GAILConfig(**{"hidden_sizes": (8, 8), "learning_rate": 1e-3, "gamma": 0.9, **settings})
    return GAIL(config, O, A, num_seeds=S, seed=seed)


def logits_by_hand(agent, slope, end):
    """Make every discriminator's logit slope * its first input, and `end` in the absorbing state."""
    first, middle, last = agent.reward.net.mlp.layers
    for layer in (first, middle, last):
        layer.weight.data.zero_()
        layer.bias.data.zero_()
    # unit 0 carries the input (+ 100, which keeps it active), unit 1 the mark
    first.weight.data[:, 0, 0], first.bias.data[:, 0, 0], first.weight.data[:, -1, 1] = 1.0, 100.0, 1.0
    middle.weight.data[:, 0, 0] = middle.weight.data[:, 1, 1] = 1.0
    last.weight.data[:, 0, 0], last.weight.data[:, 1, 0] = slope, end
    last.bias.data.fill_(-100.0 * slope)


def ends(batch, share):
    """The batch with this share of its transitions terminating."""
    terminated = (torch.arange(B) < share * B).float().repeat(S, 1)
    return batch._replace(terminated=terminated)


def test_the_target_by_hand(batch, expert, targets):
    agent = build()
    logits_by_hand(agent, slope=2.0, end=-3.0)
    agent.update(batch, expert)
    (call,) = targets
    torch.testing.assert_close(call["reward"], 2.0 * batch.observation[..., 0], atol=1e-4, rtol=1e-4)
    over = batch.terminated > 0
    assert 0 < over.sum() < over.numel()
    # r + 0.9 * -3 / (1 - 0.9) = r - 27 where the episode ended, r + 0.9 V(s') elsewhere
    torch.testing.assert_close(call["target"][over], call["reward"][over] - 27.0)
    torch.testing.assert_close(call["target"][~over], (call["reward"] + 0.9 * call["next_value"])[~over])


def test_without_absorbing_states_an_end_is_worth_nothing(batch, expert, targets):
    agent = build(absorbing_states=False)
    logits_by_hand(agent, slope=2.0, end=-3.0)
    agent.update(batch, expert)
    over = batch.terminated > 0
    torch.testing.assert_close(targets[0]["target"][over], targets[0]["reward"][over])


def test_the_loss_and_the_penalty_by_hand(batch, expert):
    agent = build()
    logits_by_hand(agent, slope=3.0, end=0.0)
    agent.reward.policy_termination_rate.fill_(1 / 9)
    agent.reward.expert_termination_rate.fill_(1 / 27)
    *_, metrics = agent.reward.update(ends(batch, 1 / 8), ends(expert, 0), agent.reward.draw(batch))
    # rates 1/9 + 0.005 (1/8 - 1/9) and 1/27 - 0.005/27; 9 steps after an end
    rates = (1 / 9 + 0.005 * (1 / 8 - 1 / 9), 1 / 27 * 0.995)
    policy_share, expert_share = (9 * rate / (1 + 9 * rate) for rate in rates)
    logit, expert_logit = (3.0 * side.observation[..., 0] for side in (batch, expert))
    expected = (1 - policy_share) * (1 + logit.exp()).log().mean(-1) + policy_share * math.log(2)
    expected += (1 - expert_share) * (1 + (-expert_logit).exp()).log().mean(-1) + expert_share * math.log(2)
    torch.testing.assert_close(metrics["discriminator_loss"], expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(metrics["gradient_penalty"], torch.full((S,), 4.0))  # (3 - 1)^2


def test_the_absorbing_state_is_disliked_where_only_the_policy_ends(batch, expert):
    worth = {}
    for name, (policys, experts) in {"policy": (0.5, 0.0), "both": (0.5, 0.5), "expert": (0.0, 0.5)}.items():
        agent = build(discriminator_learning_rate=1e-2, discriminator_penalty=0.0)
        for _ in range(60):
            agent.reward.update(ends(batch, policys), ends(expert, experts), agent.reward.draw(batch))
        worth[name] = agent.reward.absorbing_value()
        assert worth[name].shape == (S, 1)
    assert (worth["policy"] < worth["both"]).all()
    assert (worth["both"] < worth["expert"]).all()
    assert (worth["policy"] < 0).all()
    assert (worth["expert"] > 0).all()


def test_the_penalty_is_taken_between_the_absorbing_state_and_the_expert_too(batch, expert):
    slopes = {}
    for penalty in (0.0, 30.0):
        agent = build(discriminator_learning_rate=1e-2, discriminator_penalty=penalty)
        agent.reward.policy_termination_rate.fill_(1.0)  # nine tenths of the policy's time
        for _ in range(150):
            agent.reward.update(ends(batch, 1.0), ends(expert, 0.0), agent.reward.draw(batch))
        end = agent.reward.net.absorbing_features(agent.reward.net.features(*expert[:2], expert.next_observation))
        slopes[penalty] = agent.reward.net.input_gradient(end).norm(dim=-1).mean()
    assert slopes[30.0] < 1.5 < slopes[0.0]


def test_the_stored_reward_is_not_read(batch, expert, assert_same_state):
    agents = [build() for _ in range(2)]
    for step in range(3):
        agents[0].update(batch, expert)
        agents[1].update(batch._replace(reward=batch.reward * 100 + step), expert)
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


def test_the_discriminator_parts_expert_from_policy_and_is_the_reward(batch, expert):
    agent = build(discriminator_learning_rate=1e-2, discriminator_penalty=0.0)
    for _ in range(100):
        before = agent.reward(batch.observation, batch.action, batch.next_observation)
        metrics = agent.update(batch, expert)
    torch.testing.assert_close(metrics["reward_policy"], before.mean(-1))  # of before the step
    assert (metrics["reward_expert"] > metrics["reward_policy"] + 1).all()


def test_observations_are_standardised(batch):
    mean, std = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.5, 0.001])
    agent = build()
    agent.fit_standardizers(mean, std)
    features = agent.reward.net.features(batch.observation, batch.action, batch.next_observation)
    scaled = (batch.observation - mean) / torch.tensor([2.0, 0.5, 0.01])  # a deviation below 0.01 is raised to it
    torch.testing.assert_close(features, torch.cat([scaled, batch.action, torch.zeros(S, B, 1)], -1))


def test_the_absorbing_state_is_the_mark_alone():
    net = RewardNet(O, A, (4,), seed_generators(0, S), absorbing=True)
    features = net.features(torch.ones(S, B, O), torch.ones(S, B, A), torch.ones(S, B, O))
    assert features[0, 0].tolist() == [1.0] * (O + A) + [0.0]
    assert net.absorbing_features(features)[0].tolist() == [[0.0] * (O + A) + [1.0]]


def test_states_alone_need_no_actions(batch, expert):
    agent = build(reward_inputs="ss")
    assert not agent.needs_expert_actions
    assert build().needs_expert_actions
    without = Transition(expert.observation, expert.action[..., :0], *expert[2:])
    assert (agent.update(batch, without)["discriminator_loss"] > 0).all()


def test_it_needs_demonstrations(batch):
    with pytest.raises(UserError, match="GAIL has no demonstrations to learn from"):
        build().update(batch)
