"""IQ-Learn: critics alone are learned, by the loss of a slow reference, and they imply a reward that prefers the expert."""

import pytest
import torch

from rlopt.agents import IQLearn
from rlopt.errors import UserError
from rlopt.losses import sample_tanh_gaussian
from rlopt.peer_config import IQLearnConfig

from .shared import A, B, O, S

GAMMA = 0.9


def build(seed=0, **settings):
    config = IQLearnConfig(
        **{"hidden_sizes": (8, 8), "learning_rate": 1e-3, "gamma": GAMMA, "num_critics": 2, **settings}
    )
    return IQLearn(config, O, A, num_seeds=S, seed=seed)


def reference_loss(agent, batch, expert, noise, regularizer):
    """The loss `[S]` of the critics, one seed, side and transition after the other."""

    def value(critic, seed, observation, eps):
        x = observation.expand(S, 1, O)  # the networks take all seeds at once
        action, log_prob = sample_tanh_gaussian(*agent.actor(x), eps.expand(S, 1, A))
        alpha = agent.sac.log_alpha[seed].exp()
        return min(critic(x, action)[seed, k, 0] for k in range(2)) - alpha * log_prob[seed, 0]

    total = []
    for seed in range(S):
        rewards, drops = {}, {}
        for name, side, first in (("policy", batch, 0), ("expert", expert, B)):
            rewards[name], drops[name] = [], []
            for i in range(side.reward.shape[1]):
                s, a, _, after, over = (field[seed, i] for field in side)
                goes_on = 0.0 if over else GAMMA
                y = (goes_on * value(agent.sac.target_critic, seed, after, noise[0, seed, first + i])).detach()
                q = agent.sac.critic(s.expand(S, 1, O), a.expand(S, 1, A))[seed, :, 0]
                rewards[name].append(q - y)  # [K]
                drops[name].append(value(agent.sac.critic, seed, s, noise[1, seed, first + i]) - y)
        policy, experts = (torch.stack(rewards[name]) for name in ("policy", "expert"))
        squares = (policy**2).mean() + (experts**2).mean()
        drop = sum(torch.stack(drops[name]).mean() for name in ("policy", "expert")) / 2
        total.append(-experts.mean() + drop + regularizer / 2 * squares)
    return torch.stack(total)


@pytest.mark.parametrize("regularizer", [0.5, 2.0])
def test_the_critic_step_is_that_of_a_slow_reference(batch, expert, regularizer):
    agent = build(value_regularizer=regularizer)
    expert = type(expert)(*(field[:, :5] for field in expert))  # sides of unlike sizes count alike
    noise = torch.randn(2, S, B + 5, A, generator=torch.Generator().manual_seed(5))
    parameters = list(agent.sac.critic.parameters())
    expected = reference_loss(agent, batch, expert, noise, regularizer)
    slopes = torch.autograd.grad(expected.sum(), parameters)
    before = [parameter.detach().clone() for parameter in parameters]
    metrics = agent.update_critic(batch.joined_with(expert), noise, B)
    torch.testing.assert_close(metrics["critic_loss"], expected.detach())
    for old, new, slope in zip(before, parameters, slopes, strict=True):  # Adam's first step is lr g / (|g| + eps)
        torch.testing.assert_close(new.detach() - old, -1e-3 * slope / (slope.abs() + 1e-8), atol=1e-5, rtol=0)


def test_the_implied_reward_prefers_the_expert(batch, expert):
    agent = build(learning_rate=3e-3)
    for _ in range(200):
        metrics = agent.update(batch, expert)
    assert (metrics["reward_expert"] > metrics["reward_policy"] + 0.5).all()
    rewards = [agent.reward(side.observation, side.action, side.next_observation).mean(-1) for side in (batch, expert)]
    assert (rewards[1] > rewards[0]).all()


def test_the_reward_by_hand(batch):
    agent = build()
    first, second = (agent.reward(batch.observation, batch.action, batch.next_observation) for _ in range(2))
    assert torch.equal(first, second)  # no noise of its own
    last = agent.sac.critic.mlp.layers[-1]
    last.weight.data.zero_()
    last.bias.data.copy_(torch.tensor([4.0, 6.0] * S).view(-1, 1, 1))
    with torch.no_grad():
        agent.sac.log_alpha.fill_(-100.0)
    # the critics' mean, less what the lower one expects of s':  5 - 0.9 * 4
    reward = agent.reward(batch.observation, batch.action, batch.next_observation)
    torch.testing.assert_close(reward, torch.full((S, B), 1.4))


@pytest.mark.parametrize("tuned", [False, True])
def test_the_temperature_stays_unless_it_is_tuned(tuned, batch, expert):
    agent = build(initial_alpha=0.25, tune_temperature=tuned)
    for _ in range(3):
        agent.update(batch, expert)
    assert (agent.sac.log_alpha.detach().exp() == pytest.approx([0.25] * S, abs=1e-6)) is not tuned


def test_the_actor_has_a_learning_rate_of_its_own(batch, expert):
    agent = build(learning_rate=1e-3, actor_learning_rate=2e-4)
    before = [[p.detach().clone() for p in net.parameters()] for net in (agent.sac.critic, agent.actor)]
    agent.update(batch, expert)
    for rate, olds, net in zip((1e-3, 2e-4), before, (agent.sac.critic, agent.actor), strict=True):
        step = max((new - old).abs().max().item() for old, new in zip(olds, net.parameters(), strict=True))
        assert step == pytest.approx(rate, rel=1e-2)  # of Adam's first step: lr g / (|g| + eps)


def test_of_two_critics_the_lower_one_alone_is_pushed_down(batch, expert):
    """So that its reward falls twice as far as that of a single one; the default is one critic."""
    assert IQLearnConfig().num_critics == 1
    agent = build()
    last = agent.sac.critic.mlp.layers[-1]
    last.weight.data.zero_()
    last.bias.data.copy_(torch.tensor([5.0, 4.0] * S).view(-1, 1, 1))
    both, noise = batch.joined_with(expert), torch.zeros(2, S, 2 * B, A)
    value = agent.value(both.observation, noise[0], agent.sac.critic)
    (slope,) = torch.autograd.grad(value.mean(-1).sum(), last.bias)
    assert slope.flatten().tolist() == pytest.approx([0.0, 1.0] * S)


def test_the_stored_reward_is_not_read(batch, expert, assert_same_state):
    agents = [build() for _ in range(2)]
    for step in range(3):
        agents[0].update(batch, expert)
        agents[1].update(batch._replace(reward=batch.reward * 100 + step), expert._replace(reward=expert.reward - 1))
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


def test_it_needs_demonstrations(batch):
    with pytest.raises(UserError, match="IQ-Learn has no demonstrations to learn from"):
        build().update(batch)
