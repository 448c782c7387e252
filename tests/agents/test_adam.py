"""The lean Adam is torch's, step for step."""

import pytest
import torch

from rlopt.agents.adam import Adam


def problem(seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(3, 4, 2, generator=generator, requires_grad=True), torch.randn(3, 1, 2, generator=generator)]
    weights[1].requires_grad_()
    x = torch.randn(3, 5, 4, generator=generator)
    return weights, lambda: (torch.baddbmm(weights[1], x, weights[0]) - 1).square().mean((1, 2))


def test_ten_steps_equal_torch_optim_adam():
    ours, our_loss = problem()
    theirs, their_loss = problem()
    adam, reference = Adam(ours, 1e-2), torch.optim.Adam(theirs, lr=1e-2)
    for _ in range(10):
        adam.minimize(our_loss())
        reference.zero_grad()
        their_loss().sum().backward()
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_first_step_by_hand():
    # gradient g: m / (1 - beta1) = g and v / (1 - beta2) = g^2, so the first step is lr g / (|g| + eps) = lr sign(g)
    weight = torch.tensor([1.0, -2.0], requires_grad=True)
    Adam([weight], 0.1).minimize(weight.square())
    torch.testing.assert_close(weight.detach(), torch.tensor([0.9, -1.9]))


def test_half_the_learning_rate_is_half_the_step():
    for share in (1.0, 0.5, 0.0):
        weight = torch.tensor([1.0, -2.0], requires_grad=True)
        adam = Adam([weight], 0.1)
        adam.scale_learning_rate(0.7)  # a share is of the full rate, whatever the last one was
        adam.scale_learning_rate(share)
        adam.minimize(weight.square())
        torch.testing.assert_close(weight.detach(), torch.tensor([1.0 - 0.1 * share, -2.0 + 0.1 * share]))


def test_state_goes_on():
    a, loss_a = problem()
    b, loss_b = problem()
    first, second = Adam(a, 1e-2), Adam(b, 1e-2)
    for _ in range(3):
        first.minimize(loss_a())
    with torch.no_grad():
        for own, given in zip(b, a, strict=True):
            own.copy_(given)
    second.load_state_dict(first.state_dict())
    first.minimize(loss_a())
    second.minimize(loss_b())
    assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def test_state_of_other_parameters_is_refused():
    with pytest.raises(ValueError, match="is not a list of 1 entries"):
        Adam([torch.zeros(2, requires_grad=True)], 1e-3).load_state_dict({"means": [], "squares": [], "step": 0})
