"""IPMD's reward: it is the one that is learned from, the step parts expert from policy, the penalty flattens it."""

import pytest
import torch

from rlopt import losses
from rlopt.config import REWARD_INPUTS
from rlopt.networks import RewardNet, seed_generators

from .shared import A, B, O, S, build, scale_reward

# ---------------------------------------------------------------------------------------- the learned reward is used


def test_the_critic_target_follows_the_reward_network(batch, targets):
    for factor in (1.0, 2.0):
        agent = build(freeze_reward=True)
        scale_reward(agent, factor)
        agent.update(batch)
    plain, doubled = targets
    goes_on = batch.terminated == 0
    assert torch.equal(doubled["reward"], 2 * plain["reward"])
    change = (doubled["target"] - plain["target"])[goes_on]
    torch.testing.assert_close(change, plain["reward"][goes_on], atol=1e-5, rtol=1e-4)
    assert change.abs().min() > 0


@pytest.mark.parametrize("frozen", [False, True])
def test_the_stored_reward_is_not_read(batch, expert, assert_same_state, frozen):
    agents = [build(freeze_reward=frozen) for _ in range(2)]
    for step in range(3):
        agents[0].update(batch, expert)
        agents[1].update(batch._replace(reward=batch.reward * 100 + step), expert)
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


def test_the_reward_is_the_one_before_the_reward_step(batch, expert, targets):
    agent = build()
    net = agent.reward_net
    before = net(net.features(batch.observation, batch.action, batch.next_observation)).detach()
    agent.update(batch, expert)
    torch.testing.assert_close(targets[0]["reward"], before)


def test_the_reward_step_parts_expert_from_policy(batch, expert, weight):
    agent = build(reward_learning_rate=1e-2)
    for _ in range(100):
        *_, info = agent.improve_reward(batch, expert, weight)
    assert (info["reward_expert"] > info["reward_policy"] + 0.1).all()


def test_the_learned_reward_is_that_of_the_mean_network(batch, expert):
    agent = build(reward_learning_rate=1e-2)
    layers, seen, margins = agent.reward_net.mlp.layers, [], []
    for _ in range(6):
        info = agent.update(batch, expert)
        seen.append([(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in layers])
        margins.append((info["reward_expert"] - info["reward_policy"]).clamp_min(0))
    # the mean of the weights after each update, weighed by the margin [S] on the expert, as a network of its own
    share = torch.stack(margins) / torch.stack(margins).sum(0)  # [updates, S]
    assert (share.max(0).values - share.min(0).values > 0.1).all()  # a plain mean would be another network
    share = share[..., None, None]
    x = torch.cat([batch.observation, batch.action], dim=-1)
    for index in range(len(layers)):
        weight, bias = ((share * torch.stack([step[index][part] for step in seen])).sum(0) for part in range(2))
        x = x @ weight + bias
        x = x.relu() if index < len(layers) - 1 else x.squeeze(-1)
    torch.testing.assert_close(agent.reward(batch.observation, batch.action, batch.next_observation), x)


def test_a_reward_is_taken_over_whole(batch, expert, targets):
    teacher, pupil = build(seed=1), build(seed=2, freeze_reward=True)
    for _ in range(4):
        teacher.update(batch, expert)
    pupil.take_reward(teacher)
    learned = teacher.reward(batch.observation, batch.action, batch.next_observation)
    assert torch.equal(pupil.reward(batch.observation, batch.action, batch.next_observation), learned)
    assert torch.equal(pupil.policy_ends, teacher.policy_ends)
    assert torch.equal(pupil.expert_ends, teacher.expert_ends)
    pupil.update(batch)
    torch.testing.assert_close(targets[-1]["reward"], learned)


def test_a_frozen_reward_stays_as_it_is(batch, assert_same_state):
    agent = build(freeze_reward=True)
    nets = (agent.reward_net, agent.mean_reward_net)
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in nets]
    for _ in range(3):
        agent.update(batch)  # and asks for no expert
    assert_same_state([net.state_dict() for net in nets], before)


@pytest.mark.parametrize("inputs", REWARD_INPUTS)
def test_the_reward_depends_on_its_inputs_and_nothing_else(inputs):
    net = RewardNet(O, A, (16,), seed_generators(0, S), inputs)
    given = {
        "s": torch.randn(S, B, O, requires_grad=True),
        "a": torch.randn(S, B, A, requires_grad=True),
        "s'": torch.randn(S, B, O, requires_grad=True),
    }
    net(net.features(*given.values())).sum().backward()
    used = {name for name, value in given.items() if value.grad is not None and value.grad.any()}
    assert used == {"s": {"s"}, "sa": {"s", "a"}, "sas": {"s", "a", "s'"}, "ss": {"s", "s'"}}[inputs]


# -------------------------------------------------------------------------------------------------- gradient penalty


def linear_reward(agent, slope):
    """Make every reward network r = slope * its first input (while that is above -100)."""
    for layer in agent.reward_net.mlp.layers:
        layer.weight.data.zero_()
        layer.bias.data.zero_()
        layer.weight.data[:, 0, 0] = 1.0
    agent.reward_net.mlp.layers[0].bias.data[:, 0, 0] = 100.0  # keeps the unit active
    agent.reward_net.mlp.layers[-1].weight.data[:, 0, 0] = slope
    agent.reward_net.mlp.layers[-1].bias.data.fill_(-100.0 * slope)


@pytest.mark.parametrize(("slope", "penalty"), [(3.0, 4.0), (-3.0, 4.0), (1.0, 0.0), (0.5, 0.0)])
def test_gradient_penalty_of_a_linear_reward(slope, penalty, batch, expert, weight):
    agent = build()
    linear_reward(agent, slope)
    reward, expert_reward, info = agent.improve_reward(batch, expert, weight)
    torch.testing.assert_close(reward, slope * batch.observation[..., 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(expert_reward, slope * expert.observation[..., 0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(info["gradient_penalty"], torch.full((S,), penalty))


def test_the_gradient_penalty_begins_at_the_slope_of_the_settings(batch, expert, weight):
    agent = build(reward_slope=2.0)
    linear_reward(agent, 3.0)
    *_, info = agent.improve_reward(batch, expert, weight)
    torch.testing.assert_close(info["gradient_penalty"], torch.full((S,), 0.25))  # (3/2 - 1)^2


def test_the_gradient_penalty_flattens_the_reward(batch, expert, weight):
    slopes = {}
    for penalty in (0.0, 10.0):
        agent = build(gradient_penalty=penalty, reward_learning_rate=1e-2)
        linear_reward(agent, 3.0)
        for _ in range(150):
            agent.improve_reward(batch, expert, weight)
        x = batch.observation.new_zeros(S, B, O + A)
        slopes[penalty] = agent.reward_net.input_gradient(x).norm(dim=-1).mean()
    assert slopes[10.0] < 1.2 < slopes[0.0]


def test_the_gradient_penalty_and_its_gradient_are_those_of_autograd():
    net = RewardNet(O, A, (16, 12), seed_generators(0, S), "sas")
    x = torch.randn(S, B, 2 * O + A, generator=torch.Generator().manual_seed(0), requires_grad=True)
    (reference,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    # times 30, because a fresh network is flatter than 1-Lipschitz
    expected, own = (losses.gradient_penalty(30 * g) for g in (reference, net.input_gradient(x.detach())))
    assert (expected > 0.1).all()
    torch.testing.assert_close(own, expected)
    weights = [layer.weight for layer in net.mlp.layers]
    torch.testing.assert_close(torch.autograd.grad(own.sum(), weights), torch.autograd.grad(expected.sum(), weights))


def test_the_slope_that_the_gradient_penalty_leaves_alone_can_be_chosen():
    gradient = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])  # norms 5 and 2
    # (5/2 - 1)^2 and (2/2 - 1)^2
    torch.testing.assert_close(losses.gradient_penalty(gradient, slope=2.0), torch.tensor([2.25 / 2]))
    assert losses.gradient_penalty(gradient, slope=5.0).tolist() == [0.0]
