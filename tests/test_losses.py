"""The mathematics, against numbers worked out by hand, torch.distributions and quadrature."""

import math

import pytest
import torch
from scipy.integrate import quad
from tensordict import TensorDict
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution, kl_divergence

from rlopt import losses
from rlopt.networks import RewardNet, seed_generators
from rlopt.transition import Transition

from .shared_losses import close, tensor

# ---------------------------------------------------------------------------------------------- tanh-Gaussian policy


def test_log_probability_by_hand():
    # u = 0 + 1 * 1 = 1;  a = tanh 1 = 0.761594
    # log N(1; 0, 1) = -1/2 - log(2 pi)/2 = -1.418939;  log(1 - a^2) = log 0.419974 = -0.867562
    # log pi = -1.418939 + 0.867562 = -0.551377
    zero = torch.zeros(1, 1, 1)
    action, log_prob = losses.sample_tanh_gaussian(zero, zero, torch.ones(1, 1, 1))
    torch.testing.assert_close(action, torch.tensor([[[0.761594]]]))
    torch.testing.assert_close(log_prob, torch.tensor([[-0.551377]]), atol=1e-6, rtol=0)


def test_log_probability_is_that_of_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mean, log_std, noise = torch.randn(3, 2, 5, 4, dtype=torch.float64, generator=generator).unbind(0)
    action, log_prob = losses.sample_tanh_gaussian(mean, log_std, noise)
    reference = TransformedDistribution(Independent(Normal(mean, log_std.exp()), 1), TanhTransform())
    torch.testing.assert_close(action, torch.tanh(mean + log_std.exp() * noise))
    torch.testing.assert_close(log_prob, reference.log_prob(action), atol=1e-6, rtol=1e-6)


def density(action, mean, log_std):
    """p(a) of a one-dimensional tanh-Gaussian, from the library's log-probability."""
    noise = (math.atanh(action) - mean) / math.exp(log_std)
    _, log_prob = losses.sample_tanh_gaussian(tensor([mean]), tensor([log_std]), tensor([noise]))
    return log_prob.exp().item()


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.4, -1.0), (-0.8, 0.3)])
def test_density_integrates_to_one(mean, log_std):
    total, _ = quad(density, -1, 1, args=(mean, log_std), limit=200)
    assert total == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("u", [-50.0, 50.0])
def test_log_probability_where_tanh_saturates(u):
    # log(1 - tanh(50)^2) = log 4 - 2 * 50 = -98.613706 (float32 would compute log 0 from 1 - tanh^2), and the other
    # term is log N(mean; mean, 1) = -0.918939: log pi = 97.694767
    mean = torch.full((1, 1, 1), u, requires_grad=True)
    action, log_prob = losses.sample_tanh_gaussian(mean, torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))
    assert action.item() == math.copysign(1.0, u)
    assert log_prob.item() == pytest.approx(97.694767, rel=1e-6)
    log_prob.sum().backward()
    # d/du of -(log 4 - 2 |u|) = 2 sign(u)
    assert mean.grad.item() == pytest.approx(math.copysign(2.0, u))


def test_kl_by_hand():
    # A = 2 with unit N_old at 0; KL of each component:
    #   N(1, 1):   0 - 0 + (1 + 1)/2 - 1/2 = 1/2
    #   N(0, 2^2): 0 - log 2 + 4/2 - 1/2   = 0.806853
    kl = losses.gaussian_kl(tensor([1.0, 0.0]), tensor([0.0, math.log(2)]), tensor([0.0, 0.0]), tensor([0.0, 0.0]))
    torch.testing.assert_close(kl, tensor(1.3068528194400546))
    same = tensor([0.3, -0.2])
    assert losses.gaussian_kl(same, same, same, same).item() == 0


def test_kl_is_that_of_torch_distributions():
    mean, log_std, old_mean, old_log_std = torch.randn(
        4, 2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    ).unbind(0)
    new, old = (Independent(Normal(m, s.exp()), 1) for m, s in ((mean, log_std), (old_mean, old_log_std)))
    torch.testing.assert_close(losses.gaussian_kl(mean, log_std, old_mean, old_log_std), kl_divergence(new, old))


def test_kl_is_that_of_the_squashed_policies():
    new, old = (0.3, -0.7), (-0.2, -0.4)  # mean, log std

    def integrand(action):
        p, q = density(action, *new), density(action, *old)
        return p * math.log(p / q) if p > 0 else 0.0

    numerical, _ = quad(integrand, -1 + 1e-9, 1 - 1e-9, limit=200)
    exact = losses.gaussian_kl(*(tensor([value]) for value in (*new, *old))).item()
    assert exact == pytest.approx(numerical, rel=1e-5)


# --------------------------------------------------------------------------------------------------------------- SAC


def test_soft_value_by_hand():
    # min(5, 4) - 0.5 * 1 = 3.5;  min(1, 2) - 0.5 * 3 = -0.5
    q, log_prob = tensor([5.0, 1.0], [4.0, 2.0]), tensor(1.0, 3.0)
    torch.testing.assert_close(losses.soft_value(q, log_prob, tensor(0.5)[0]), tensor(3.5, -0.5))
    # no critic is believed above 3:  min(5, 4, 3) - 0.5 * 1 = 2.5
    torch.testing.assert_close(
        losses.soft_value(q, log_prob, tensor(0.5)[0], (-math.inf, tensor(3.0))), tensor(2.5, -0.5)
    )
    # nor below 2:  max(min(1, 2), 2) - 0.5 * 3 = 0.5
    torch.testing.assert_close(losses.soft_value(q, log_prob, tensor(0.5)[0], (2.0, tensor(3.0))), tensor(2.5, 0.5))


def test_critic_target_by_hand():
    # y = 1 + 0.9 * 10 = 10 where the episode goes on, 1 + 0.9 * 0 = 1 where it terminated
    reward, terminated, next_value = tensor(1.0, 1.0), tensor(0.0, 1.0), tensor(10.0, 10.0)
    torch.testing.assert_close(losses.critic_target(reward, terminated, next_value, 0.9), tensor(10.0, 1.0))


def test_terminal_value_stands_in_for_the_next_one_alone():
    # two seeds with V_end = -20 and 5:  1 + 0.9 * -20 = -17;  1 + 0.9 * 5 = 5.5
    ones, next_value = torch.ones(2, 2), torch.tensor([[10.0, math.nan], [10.0, math.nan]])
    terminated, terminal_value = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[-20.0], [5.0]])
    target = losses.critic_target(ones, terminated, next_value, 0.9, terminal_value)
    torch.testing.assert_close(target, torch.tensor([[10.0, -17.0], [10.0, 5.5]]))


def test_truncation_bootstraps():
    flags = {"terminated": [False, True, False], "truncated": [False, False, True], "done": [False, True, True]}
    data = TensorDict(
        {
            "observation": torch.zeros(1, 3, 2),
            "action": torch.zeros(1, 3, 1),
            "next": {
                "observation": torch.zeros(1, 3, 2),
                "reward": torch.ones(1, 3, 1),
                **{name: torch.tensor([flag]).unsqueeze(-1) for name, flag in flags.items()},
            },
        },
        batch_size=[1, 3],
    )
    batch = Transition.from_tensordict(data)
    target = losses.critic_target(batch.reward, batch.terminated, torch.full((1, 3), 10.0), 0.9)
    close(target[0], 10.0, 1.0, 10.0)


def test_critic_loss_by_hand():
    # critic 1: ((1 - 0)^2 + (2 - 1)^2) / 2 = 1;  critic 2: ((3 - 0)^2 + (4 - 1)^2) / 2 = 9;  sum 10
    close(losses.critic_loss(tensor([1.0, 2.0], [3.0, 4.0]), tensor(0.0, 1.0)), 10.0)


def test_policy_loss_by_hand():
    # (0.5 * 1 - min(5, 4) + 0.5 * 3 - min(1, 2)) / 2 = (-3.5 + 0.5) / 2 = -1.5
    close(losses.policy_loss(tensor(1.0, 3.0), tensor([5.0, 1.0], [4.0, 2.0]), tensor(0.5)[0]), -1.5)


def test_temperature_loss_by_hand():
    # entropy -2 is below the target of -1, so the temperature must rise: -0.5 (2 - 1) = -0.5, slope -1
    log_alpha = torch.tensor([0.5], requires_grad=True)
    log_prob = torch.tensor([[1.0, 3.0]], requires_grad=True)
    loss = losses.temperature_loss(log_alpha, log_prob, target_entropy=-1.0)
    close(loss.detach(), -0.5)
    loss.sum().backward()
    close(log_alpha.grad, -1.0)
    assert log_prob.grad is None


# -------------------------------------------------------------------------------------------------------------- IPMD


def test_reward_loss_by_hand():
    # E_pi[r] = 2, E_expert[r] = 1, E_pi[r^2] = 5, E_expert[r^2] = 2:  2 - 1 + 0.5 / 2 * (5 + 2) = 2.75
    close(losses.reward_loss(tensor(1.0, 3.0), tensor(2.0, 0.0), value_regularizer=0.5), 2.75)


def test_reward_loss_is_least_at_the_pointwise_optimum():
    # two states; the policy is in them 9 and 1 times of 10, the expert 3 and 7 times; lambda = 0.5
    #   r*(0) = (0.3 - 0.9) / (0.5 * 1.2) = -1;   r*(1) = (0.7 - 0.1) / (0.5 * 0.8) = 1.5
    policy_states, expert_states = torch.tensor([0] * 9 + [1]), torch.tensor([0] * 3 + [1] * 7)
    reward = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    for _ in range(200):
        loss = losses.reward_loss(reward[:, policy_states], reward[:, expert_states], value_regularizer=0.5)
        (gradient,) = torch.autograd.grad(loss.sum(), reward)
        reward.data -= gradient
    torch.testing.assert_close(reward.detach(), tensor(-1.0, 1.5))


@pytest.mark.parametrize(("norm", "penalty"), [(3.0, 4.0), (1.0, 0.0), (0.5, 0.0), (0.0, 0.0)])
def test_gradient_penalty_of_a_linear_function(norm, penalty):
    # f(x) = norm * (0.6 x_1 + 0.8 x_2) has a gradient of that norm everywhere; the penalty is max(0, norm - 1)^2
    x = torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad((norm * x @ torch.tensor([0.6, 0.8])).sum(), x)
    close(losses.gradient_penalty(gradient), penalty)


def test_gradient_penalty_is_the_mean_over_the_batch():
    # norms 3, 5 and 0.5: (4 + 16 + 0) / 3
    close(losses.gradient_penalty(tensor([3.0, 0.0], [3.0, 4.0], [0.5, 0.0])), 20 / 3)


def test_gradient_penalty_trains_the_reward():
    # r(x) = w x with |w| = |(3, 4)| = 5:  d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w| = 8 (0.6, 0.8)
    net = RewardNet(2, 1, (), seed_generators(0, 1), inputs="s")
    (linear,) = net.mlp.layers
    linear.weight.data = torch.tensor([[[3.0], [4.0]]])
    x = torch.zeros(1, 6, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    losses.gradient_penalty(gradient).sum().backward()
    torch.testing.assert_close(linear.weight.grad, torch.tensor([[[4.8], [6.4]]]))


def test_gradient_penalty_has_a_derivative_at_zero():
    gradient = torch.zeros(1, 1, 2, requires_grad=True)
    losses.gradient_penalty(gradient).sum().backward()
    assert torch.equal(gradient.grad, torch.zeros(1, 1, 2))


def test_interpolation_by_hand():
    # w x_pi + (1 - w) x_expert of 8 and 4 at w = 1, 0 and 1/4
    weight = torch.tensor([[[1.0], [0.0], [0.25]]])
    points = losses.interpolate(torch.full((1, 3, 1), 8.0), torch.full((1, 3, 1), 4.0), weight)
    close(points.flatten(), 8.0, 4.0, 5.0)


def test_the_two_sided_gradient_penalty_is_on_flat_functions_too():
    # norms 3, 1 and 0.5: (4 + 0 + 0.25) / 3
    gradient = tensor([3.0, 0.0], [0.6, 0.8], [0.5, 0.0])
    close(losses.gradient_penalty(gradient, two_sided=True), 4.25 / 3)


@pytest.mark.parametrize(
    ("expert_ends", "policy_ends", "reward"),
    [
        (0.0, 0.0, -2.0),  # nobody ever ended: to end would be unlike the expert
        (0.0, 0.1, -2.0),  # only the policy ends: -1/lambda
        (0.1, 0.0, 2.0),  # only the expert ends: +1/lambda
        (0.1, 0.1, 0.0),  # both as often: nothing tells them apart there
        # shares of the occupancy: 9 * 1/9 / (1 + 1) = 1/2 and 9 * 1/27 / (4/3) = 1/4:  (1/2 - 1/4) / (0.5 * 3/4) = 2/3
        (1 / 9, 1 / 27, 2 / 3),
    ],
)
def test_absorbing_reward_by_hand(expert_ends, policy_ends, reward):
    # gamma = 0.9: horizon 9; lambda = 0.5
    ends = (torch.tensor([share], dtype=torch.float64) for share in (expert_ends, policy_ends))
    close(losses.absorbing_reward(*ends, horizon=9.0, value_regularizer=0.5), reward)


# ---------------------------------------------------------------------------------------------------------------- BC


def test_behavior_cloning_loss_by_hand():
    # tanh(mean) = 0.5 and 0; expert 0.1 and -1:  (0.16 + 1) / 2 = 0.58 for the one row, and 0 for the other
    mean = torch.tensor([[[math.atanh(0.5), 0.0], [0.0, 0.0]]])
    action = torch.tensor([[[0.1, -1.0], [0.0, 0.0]]])
    close(losses.behavior_cloning_loss(mean, action), 0.29)


# -------------------------------------------------------------------------------------------------- finite differences


@pytest.mark.parametrize(
    ("loss", "shapes"),
    [
        (losses.discriminator_loss, [(2, 3), (2, 4), (2,), (2,), (2,)]),
        (lambda *inputs: losses.iq_learn_loss(*inputs, 0.5), [(2, 2, 3), (2, 2, 4), (2, 3), (2, 4)]),
        (lambda gradient: losses.gradient_penalty(gradient, two_sided=True), [(2, 3, 2)]),
    ],
)
def test_gradients_are_those_of_finite_differences(loss, shapes):
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.rand(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(loss, inputs)


# ---------------------------------------------------------------------------------------------------- seeds apart

S, B, K, A = 3, 4, 2, 2
LOSSES_AND_INPUTS = {
    "critic": (losses.critic_loss, [(S, K, B), (S, B)]),
    "policy": (losses.policy_loss, [(S, B), (S, K, B), (S,)]),
    "temperature": (lambda log_alpha, log_prob: losses.temperature_loss(log_alpha, log_prob, -1.0), [(S,), (S, B)]),
    "kl": (lambda *gaussians: losses.gaussian_kl(*gaussians).mean(-1), [(S, B, A)] * 4),
    "reward": (lambda policy, expert: losses.reward_loss(policy, expert, 0.5), [(S, B), (S, B)]),
    "gradient_penalty": (losses.gradient_penalty, [(S, B, A)]),
    "discriminator": (losses.discriminator_loss, [(S, B), (S, B), (S,), (S,), (S,)]),
    "iq_learn": (lambda *inputs: losses.iq_learn_loss(*inputs, 0.5), [(S, K, B), (S, K, B), (S, B), (S, B)]),
    "behavior_cloning": (losses.behavior_cloning_loss, [(S, B, A)] * 2),
}


@pytest.mark.parametrize("name", LOSSES_AND_INPUTS)
def test_no_gradient_crosses_seeds(name):
    loss, shapes = LOSSES_AND_INPUTS[name]
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator).mul(3).requires_grad_() for shape in shapes]
    value = loss(*inputs)
    assert value.shape == (S,)
    gradients = [g for g in torch.autograd.grad(value[1], inputs, allow_unused=True) if g is not None]
    assert gradients
    for gradient in gradients:
        assert torch.count_nonzero(gradient[[0, 2]]) == 0
        assert torch.count_nonzero(gradient[1]) > 0
