"""The gradient penalty on the learned reward: its value, its gradient, and that it flattens the reward."""

import pytest
import torch

from rlopt import losses
from rlopt.networks import RewardNet, seed_generators

from .shared import A, B, O, S, learned_reward, set_reward_rate


def linear_reward(reward, slope):
    """Make every reward network r = slope * its first input (while that is above -100)."""
    for layer in reward.net.mlp.layers:
        layer.weight.data.zero_()
        layer.bias.data.zero_()
        layer.weight.data[:, 0, 0] = 1.0
    reward.net.mlp.layers[0].bias.data[:, 0, 0] = 100.0  # keeps the unit active
    reward.net.mlp.layers[-1].weight.data[:, 0, 0] = slope
    reward.net.mlp.layers[-1].bias.data.fill_(-100.0 * slope)


@pytest.mark.parametrize(("slope", "penalty"), [(3.0, 4.0), (-3.0, 4.0), (1.0, 0.0), (0.5, 0.0)])
def test_gradient_penalty_of_a_linear_reward(slope, penalty, batch, expert, weight):
    learned = learned_reward()
    linear_reward(learned, slope)
    policys, experts, metrics = learned.update(batch, expert, weight)
    for labelled, given in ((policys, batch), (experts, expert)):
        torch.testing.assert_close(labelled.reward, slope * given.observation[..., 0], atol=1e-4, rtol=1e-4)
        assert torch.equal(labelled.terminated, given.terminated)
    torch.testing.assert_close(metrics["gradient_penalty"], torch.full((S,), penalty))


def test_the_gradient_penalty_begins_at_the_slope_of_the_settings(batch, expert, weight):
    learned = learned_reward(lipschitz_constant=2.0)
    linear_reward(learned, 3.0)
    *_, metrics = learned.update(batch, expert, weight)
    torch.testing.assert_close(metrics["gradient_penalty"], torch.full((S,), 0.25))  # (3/2 - 1)^2


def test_the_gradient_penalty_flattens_the_reward(batch, expert, weight):
    slopes = {}
    for penalty in (0.0, 10.0):
        learned = learned_reward(gradient_penalty=penalty)
        set_reward_rate(learned, 1e-2)
        linear_reward(learned, 3.0)
        for _ in range(150):
            learned.update(batch, expert, weight)
        x = batch.observation.new_zeros(S, B, O + A)
        slopes[penalty] = learned.net.input_gradient(x).norm(dim=-1).mean()
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
    torch.testing.assert_close(losses.gradient_penalty(gradient, lipschitz_constant=2.0), torch.tensor([2.25 / 2]))
    assert losses.gradient_penalty(gradient, lipschitz_constant=5.0).tolist() == [0.0]
