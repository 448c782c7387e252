"""The mathematics of GAIL, IQ-Learn and SQIL, against numbers worked out by hand and against optima."""

import math

import pytest
import torch

from rlopt import losses

from .shared_losses import close, tensor

# -------------------------------------------------------------------------------------------------------------- GAIL

LOG2, LOG3 = math.log(2), math.log(3)


def test_discriminator_loss_by_hand():
    # D = 1/4 and 1/2 on the policy's, 3/4 on the expert's:  -(log 3/4 + log 1/2) / 2 - log 3/4
    nothing, logit = tensor(0.0)[0], tensor(7.0)[0]
    loss = losses.discriminator_loss(tensor(-LOG3, 0.0), tensor(LOG3), logit, nothing, nothing)
    close(loss, -1.5 * math.log(3 / 4) + 0.5 * LOG2)


def test_the_absorbing_state_counts_by_its_share():
    # D = 1/2 everywhere but 1/4 in the absorbing state, where the policy is 40% of its time and the expert 10%:
    #   - 0.6 log 1/2 - 0.4 log 3/4 - 0.9 log 1/2 - 0.1 log 1/4
    zero = tensor(0.0, 0.0)
    loss = losses.discriminator_loss(zero, zero, tensor(-LOG3)[0], tensor(0.4)[0], tensor(0.1)[0])
    close(loss, 1.5 * LOG2 - 0.4 * math.log(3 / 4) - 0.1 * math.log(1 / 4))


def test_the_reward_at_the_optimum_is_the_log_ratio_of_occupancies():
    # of 10 steps the policy spends 6 and 2 in two states and 2 in the absorbing one, the expert 3, 6 and 1
    policy_states, expert_states = torch.tensor([0] * 6 + [1] * 2), torch.tensor([0] * 3 + [1] * 6)
    logit = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    for _ in range(2000):
        sides = logit[:, policy_states], logit[:, expert_states], logit[:, 2]
        loss = losses.discriminator_loss(*sides, tensor(0.2)[0], tensor(0.1)[0])
        (gradient,) = torch.autograd.grad(loss.sum(), logit)
        logit.data -= 2 * gradient
    torch.testing.assert_close(logit.detach(), tensor(math.log(3 / 6), math.log(6 / 2), math.log(1 / 2)))


@pytest.mark.parametrize(("rate", "share"), [(0.0, 0.0), (1 / 9, 0.5), (1 / 27, 0.25), (1.0, 0.9)])
def test_absorbing_share_by_hand(rate, share):
    # gamma = 0.9: 9 steps after every end.  9 * 1/27 / (1 + 1/3) = 1/4
    close(losses.absorbing_share(tensor(rate)[0], 9.0), share)


def test_rows_of_the_absorbing_state_by_hand():
    # two seeds with shares of 1/4 and 0 of four rows; of three eighths of them, two rows
    x, end = torch.ones(2, 4, 1), torch.full((2, 1, 1), 9.0)
    close(losses.with_absorbing(x, end, torch.tensor([0.25, 0.0])).flatten(), 9.0, *[1.0] * 7)
    close(losses.with_absorbing(x, end, torch.tensor([0.375, 1.0])).flatten(), 9.0, 9.0, 1.0, 1.0, *[9.0] * 4)


# ---------------------------------------------------------------------------------------------------------- IQ-Learn


def test_discounted_value_by_hand():
    # 0.9 * 10 where the episode goes on, and 0 where it terminated
    close(losses.discounted_value(tensor(10.0, 10.0), tensor(0.0, 1.0), 0.9)[0], 9.0, 0.0)


def test_iq_learn_loss_by_hand():
    # critic 1: policy's rewards 1 and 3, expert's 2:  0.5 / 2 * (5 + 4) - 2 = 0.25
    # critic 2: 0 and 2, and 4:                        0.5 / 2 * (2 + 16) - 4 = 0.5;   mean 0.375
    # drops: policy 1 and 2, expert -1:                1/2 * (1.5 - 1) = 0.25
    policy, expert = torch.tensor([[[1.0, 3.0], [0.0, 2.0]]]), torch.tensor([[[2.0], [4.0]]])
    close(losses.iq_learn_loss(policy, expert, torch.tensor([[1.0, 2.0]]), torch.tensor([[-1.0]]), 0.5), 0.625)


def test_iq_learn_finds_the_reward_of_the_dual_problem():
    """A slow reference: two states without a way between them, one step each, so that V(s) - gamma V(s') is Q(s, pi(s)).

    Two actions, policy 1/2 and 1/2, expert 3/4 and 1/4, in one state with gamma = 0:
    r* = (rho_E - rho_pi) / (lambda (rho_E + rho_pi)) = (1/4) / (0.5 * 5/4) = 0.4 and (-1/4) / (0.5 * 3/4) = -2/3.
    """
    policy_actions, expert_actions = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1])
    q = torch.zeros(1, 1, 2, dtype=torch.float64, requires_grad=True)
    for _ in range(1000):
        value = q.mean((1, 2)).unsqueeze(1)  # E_pi[Q], in every state
        loss = losses.iq_learn_loss(q[..., policy_actions], q[..., expert_actions], value, value, 0.5)
        (gradient,) = torch.autograd.grad(loss.sum(), q)
        q.data -= 0.5 * gradient
    torch.testing.assert_close(q.detach()[0], tensor(0.4, -2 / 3))


# -------------------------------------------------------------------------------------------------------------- SQIL


def test_sqil_rewards_by_hand():
    policy, expert = losses.sqil_rewards(tensor(-3.0, 5.0), tensor(7.0))
    assert policy.tolist() == [[0.0, 0.0]]
    assert expert.tolist() == [[1.0]]
