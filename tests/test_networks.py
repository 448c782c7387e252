"""Stacked networks: independent copies, torch's initialisation, the explicit input gradient."""

import math

import pytest
import torch

from rlopt.networks import CriticEnsemble, RewardNet, StackedLinear, StackedMLP, Standardizer, seed_generators


def test_a_stack_is_so_many_networks():
    mlp = StackedMLP([4, 8, 8, 2], seed_generators(0, 3))
    x = torch.randn(3, 5, 4)
    out = mlp(x.clone())
    for n in range(3):
        y = x[n]
        for i, layer in enumerate(mlp.layers):
            y = y @ layer.weight[n] + layer.bias[n]
            y = y.relu() if i < 2 else y
        torch.testing.assert_close(out[n], y)


def test_weights_start_as_in_torch_linear():
    layer = StackedLinear(100, 200, seed_generators(0, 2))
    bound = 1 / math.sqrt(100)
    assert layer.weight.abs().max() <= bound
    # a uniform distribution on [-b, b] has the standard deviation b / sqrt(3)
    assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_critics_of_a_seed_see_the_same_input_and_differ():
    critic = CriticEnsemble(3, 1, (8,), seed_generators(0, 2), num_critics=2)
    observation, action = torch.randn(2, 5, 3), torch.randn(2, 5, 1)
    q = critic(observation, action)
    assert q.shape == (2, 2, 5)
    x = torch.cat([observation, action], -1)
    for s in range(2):
        for k in range(2):
            first, last = critic.mlp.layers
            n = 2 * s + k
            hidden = (x[s] @ first.weight[n] + first.bias[n]).relu()
            torch.testing.assert_close(q[s, k], (hidden @ last.weight[n] + last.bias[n]).squeeze(-1))
    assert not torch.equal(q[:, 0], q[:, 1])


def test_layer_norm_by_hand():
    plain, normed = (
        CriticEnsemble(3, 1, (8, 8), seed_generators(0, 2), num_critics=2, layer_norm=on) for on in (False, True)
    )
    normed.load_state_dict(plain.state_dict())  # the same form
    observation, action = torch.randn(2, 5, 3), torch.randn(2, 5, 1)
    q = normed(observation, action)
    for n in range(4):
        x = torch.cat([observation, action], -1)[n // 2]
        for layer in normed.mlp.layers[:-1]:
            x = x @ layer.weight[n] + layer.bias[n]
            x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
            x = x.relu()
        last = normed.mlp.layers[-1]
        torch.testing.assert_close(q[n // 2, n % 2], (x @ last.weight[n] + last.bias[n]).squeeze(-1))
    assert not torch.allclose(q, plain(observation, action))


def test_input_gradient_is_autograds_and_so_is_its_derivative():
    net = RewardNet(4, 2, (16, 16), seed_generators(0, 3), inputs="sa")
    x = torch.randn(3, 7, 6, requires_grad=True)
    (reference,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    explicit = net.input_gradient(x)
    torch.testing.assert_close(explicit, reference)
    weights = [layer.weight for layer in net.mlp.layers]
    for ours, theirs in zip(
        torch.autograd.grad(explicit.square().sum(), weights),
        torch.autograd.grad(reference.square().sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_bfloat16_products_stay_close_and_return_float32():
    full = StackedMLP([4, 32, 32, 1], seed_generators(0, 2))
    half = StackedMLP([4, 32, 32, 1], seed_generators(0, 2), precision="bfloat16")
    x = torch.randn(2, 64, 4)
    assert half(x).dtype == torch.float32
    difference = (full(x) - half(x)).abs().max()
    assert 0 < difference < 0.02  # other arithmetic, the same function


@pytest.mark.parametrize("outputs", [1, 3])
def test_large_outputs_keep_their_digits_beside_bfloat16(outputs):
    # values of hundreds are usual, and bfloat16 has steps of 2 there
    small, large = (StackedMLP([4, 32, outputs], seed_generators(0, 1), precision="bfloat16") for _ in range(2))
    large.layers[-1].bias.data += 500.0
    x = torch.randn(1, 64, 4)
    torch.testing.assert_close(large(x) - 500.0, small(x), atol=1e-3, rtol=0)


def test_standardizer_floors_a_spread_that_is_no_scale():
    standardizer = Standardizer(2)
    standardizer.fit(torch.tensor([1.0, 1.0]), torch.tensor([4.0, 1e-6]), min_std=1.0)
    torch.testing.assert_close(standardizer(torch.tensor([[9.0, 1.5]])), torch.tensor([[2.0, 0.5]]))


def test_standardizer_cuts_off_what_is_far_away():
    standardizer = Standardizer(3, clip=5.0)
    standardizer.fit(torch.tensor([1.0, 1.0, 1.0]), torch.tensor([2.0, 2.0, 2.0]), min_std=1.0)
    assert standardizer(torch.tensor([[9.0, 1000.0, -1000.0]])).tolist() == [[4.0, 5.0, -5.0]]
