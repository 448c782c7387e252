"""SQIL: SAC's targets on half a batch of either side, with rewards of 0 and 1."""

import pytest
import torch

from rlopt.agents import SQIL
from rlopt.errors import UserError
from rlopt.peer_config import SQILConfig

from .shared import A, B, O, S


def build(seed=0, **settings):
    config = SQILConfig(**{"hidden_sizes": (8, 8), "batch_size": B, "gamma": 0.9, **settings})
    return SQIL(config, O, A, num_seeds=S, seed=seed)


@pytest.mark.parametrize(("size", "experts"), [(B, 4), (7, 4), (2, 1)])
def test_half_of_a_batch_is_the_experts(size, experts, make_batch, targets):
    agent = build(batch_size=size)
    assert agent.expert_batch_size == experts
    agent.update(make_batch(S, size, O, A, seed=0), make_batch(S, experts, O, A, seed=1))
    assert targets[0]["reward"].tolist() == [[0.0] * (size - experts) + [1.0] * experts] * S


def test_the_targets_by_hand(batch, expert, targets):
    agent = build()
    last = agent.sac.target_critic.mlp.layers[-1]
    last.weight.data.zero_()
    last.bias.data.fill_(10.0)
    with torch.no_grad():
        agent.sac.log_alpha.fill_(-100.0)
    agent.update(batch, expert)
    # Q' = 10 everywhere:  0 + 0.9 * 10 = 9 on the policy's, 1 + 9 = 10 on the expert's; without 0.9 * 10 after an end
    over = torch.cat([batch.terminated[:, :4], expert.terminated[:, :4]], 1)
    expected = torch.tensor([0.0] * 4 + [1.0] * 4) + 9.0 * (1 - over)
    assert 0 < over.sum() < over.numel()
    torch.testing.assert_close(targets[0]["target"], expected)


def test_the_entropy_is_that_of_the_policys_states(batch, expert):
    alphas = []
    for other in (expert, expert._replace(observation=expert.observation + 50)):
        agent = build()
        alphas.append(agent.update(batch, other)["entropy"])
    assert torch.equal(*alphas)


def test_no_reward_is_read(batch, expert, assert_same_state):
    agents = [build() for _ in range(2)]
    for step in range(3):
        agents[0].update(batch, expert)
        agents[1].update(batch._replace(reward=batch.reward * 100 + step), expert._replace(reward=expert.reward - 1))
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


def test_it_needs_demonstrations(batch):
    with pytest.raises(UserError, match="SQIL has no demonstrations to learn from"):
        build().update(batch)
