"""All the mathematics: pure functions of tensors, the equation above the line that computes it.

Every loss returns one value per seed, `[S]`: the mean over the batch, never over seeds. An agent minimises the sum over
seeds, so no gradient crosses from one seed to another. Shapes: `S` seeds, `B` batch, `K` critics, `A` action.

Sources: SAC, Haarnoja et al., arXiv 1812.05905; IPMD, Wu, Ke, Wu, "Inverse Reinforcement Learning with the Average Reward
Criterion", NeurIPS 2023, arXiv 2305.14608; gradient penalty, Gulrajani et al., arXiv 1704.00028, one-sided; absorbing
states, Kostrikov et al. (DAC), arXiv 1809.02925, with the closed form of LS-IQ, Al-Hafez et al., arXiv 2303.00599; GAIL, Ho,
Ermon, arXiv 1606.03476, as DAC has it; IQ-Learn, Garg et al., NeurIPS 2021, arXiv 2106.12142; SQIL, Reddy et al., ICLR 2020,
arXiv 1905.11108.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# ---------------------------------------------------------------------------------------------- tanh-Gaussian policy


def sample_tanh_gaussian(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Action `[S, B, A]` in [-1, 1] and its log-probability `[S, B]`, from standard normal `noise` `[S, B, A]`.

        u = mean + std noise,   a = tanh u
        log pi(a|s) = sum_A [ log N(u; mean, std) - log(1 - tanh(u)^2) ]   (1812.05905, eq. 21)
        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)),   exact where tanh saturates

    `mean` and `log_std` are `[S, B, A]`, too. Constants are added after the sum: on small tensors every operation costs the
    same few microseconds.
    """
    u = torch.addcmul(mean, log_std.exp(), noise)
    half_log_prob = u + F.softplus(-2 * u) - 0.25 * noise.square()
    constant = mean.shape[-1] * (2 * math.log(2) + 0.5 * math.log(2 * math.pi))
    return torch.tanh(u), torch.sub(half_log_prob, log_std, alpha=0.5).sum(-1) * 2 - constant


def gaussian_kl(mean: Tensor, log_std: Tensor, old_mean: Tensor, old_log_std: Tensor) -> Tensor:
    """KL(N || N_old) `[S, B]` of diagonal Gaussians `[S, B, A]`; the tanh on both sides leaves it unchanged.

    KL = sum_A [ log std_old - log std + (std^2 + (mean - mean_old)^2) / (2 std_old^2) - 1/2 ]
    """
    scaled = (2 * (log_std - old_log_std)).exp() + ((mean - old_mean) / old_log_std.exp()).square()
    return (old_log_std - log_std + 0.5 * scaled - 0.5).sum(-1)


# --------------------------------------------------------------------------------------------------------------- SAC


QBounds = tuple[float, Tensor]
"""Q_min, and Q_max `[S, 1]`, between which target critics are clipped."""


def soft_value(q: Tensor, log_prob: Tensor, alpha: Tensor, bounds: QBounds | None = None) -> Tensor:
    """V `[S, B]` of a sampled action: critics `[S, K, B]`, its log-probability `[S, B]`, temperature `[S]`.

    V(s) = clip(min_k Q_k(s, a), Q_min, Q_max) - alpha log pi(a|s),   a ~ pi(.|s)
    """
    least = q.amin(1)
    if bounds is not None:
        least = least.clamp_min(bounds[0]).minimum(bounds[1])
    return least - alpha.unsqueeze(-1) * log_prob


def critic_target(
    reward: Tensor, terminated: Tensor, next_value: Tensor, gamma: float, terminal_value: Tensor | float = 0.0
) -> Tensor:
    """Target `[S, B]` of rewards, terminations (0 or 1) and next values, `[S, B]` each. Truncation does not stop the bootstrap.

        y = r + gamma [ (1 - terminated) V'(s') + terminated V_end ]

    V_end, `terminal_value`, is 0 for the environment's reward, and the value of an absorbing state for a learned one.
    """
    return reward + gamma * torch.where(terminated > 0, terminal_value, next_value)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Loss `[S]` of critics `[S, K, B]` for the target `[S, B]`.

    L_Q = sum_k E[(Q_k(s, a) - y)^2]
    """
    return (q - target.unsqueeze(1)).square().mean(-1).sum(-1)


def policy_loss(log_prob: Tensor, q: Tensor, alpha: Tensor) -> Tensor:
    """Loss `[S]` of policies: log-probability `[S, B]` of their reparametrised actions, critics `[S, K, B]`, temperature `[S]`.

    L_pi = E[ alpha log pi(a|s) - min_k Q_k(s, a) ]
    """
    return -soft_value(q, log_prob, alpha).mean(-1)


def temperature_loss(log_alpha: Tensor, log_prob: Tensor, target_entropy: float) -> Tensor:
    """Loss `[S]` of temperatures `[S]`, from log-probabilities `[S, B]`; no gradient to the policy.

    L_alpha = -log_alpha E[ log pi(a|s) + H_target ]
    """
    return -log_alpha * (log_prob.detach().mean(-1) + target_entropy)


# -------------------------------------------------------------------------------------------------------------- IPMD


def reward_loss(policy_reward: Tensor, expert_reward: Tensor, value_regularizer: float) -> Tensor:
    """The reward step's loss `[S]` of rewards `[S, B]`: the expert's reward up, the policy's down, both kept small.

        L_r = E_pi[r] - E_expert[r] + lambda/2 (E_pi[r^2] + E_expert[r^2])

    Its pointwise minimum, r* = (rho_E - rho_pi) / (lambda (rho_E + rho_pi)), lies between -1/lambda and 1/lambda.
    """
    gap = policy_reward.mean(-1) - expert_reward.mean(-1)
    squares = policy_reward.square().mean(-1) + expert_reward.square().mean(-1)
    return gap + 0.5 * value_regularizer * squares


def gradient_penalty(gradient: Tensor, lipschitz_constant: float = 1.0, *, two_sided: bool = False) -> Tensor:
    """Penalty `[S]` of gradients `[S, B, F]` with respect to the reward's input, of F features.

        E[ max(0, |grad r(x~)| / L - 1)^2 ]

    One-sided (1704.00028, section 4): an L-Lipschitz reward, L = `lipschitz_constant`, has no penalty. The two-sided one
    (eq. 3) has no maximum: a flat reward has a penalty, too.
    """
    # the constant keeps the derivative of the root finite at a zero gradient
    norm = (gradient.square().sum(-1) + 1e-12).sqrt()
    excess = norm / lipschitz_constant - 1
    return (excess if two_sided else excess.clamp_min(0)).square().mean(-1)


def interpolate(policy_features: Tensor, expert_features: Tensor, weight: Tensor) -> Tensor:
    """Points `[S, B, F]` between the policy's and the expert's features; weight `[S, B, 1]` uniform in [0, 1].

    x~ = w x_pi + (1 - w) x_expert
    """
    return torch.lerp(expert_features, policy_features, weight)


def absorbing_reward(expert_rate: Tensor, policy_rate: Tensor, horizon: float, value_regularizer: float) -> Tensor:
    """r_abs `[S]`, the learned reward of the absorbing state in which an ended episode stays for ever.

    An episode that ends spends `horizon` = gamma / (1 - gamma) effective steps there. With a termination rate e `[S]` (the
    share of a side's transitions that terminate), the absorbing state has the occupancy rho = e horizon / (1 + e horizon). The
    reward step is solved at that point in closed form:

        r_abs = (rho_E - rho_pi) / (lambda (rho_E + rho_pi))
              = (e_E - e_pi) / (lambda (e_E + e_pi + 2 horizon e_E e_pi))

    It is -1/lambda where the expert never ends, and before any end.
    """
    total = expert_rate + policy_rate + 2 * horizon * expert_rate * policy_rate
    advantage = torch.where(total > 0, (expert_rate - policy_rate) / total.clamp_min(1e-12), -1.0)
    return advantage / value_regularizer


# -------------------------------------------------------------------------------------------------------------- GAIL


def absorbing_share(rate: Tensor, horizon: float) -> Tensor:
    """The absorbing state's share of the occupancy `[S]`, where a share e (`rate`, `[S]`) of transitions terminates.

        rho = e h / (1 + e h)

    Every end is followed by h = gamma / (1 - gamma) effective steps in it, `horizon`.
    """
    return rate * horizon / (1 + rate * horizon)


def with_absorbing(features: Tensor, absorbing_features: Tensor, share: Tensor) -> Tensor:
    """Draws `[S, B, F]` of the occupancy: the first rows, a share `[S]`, are the absorbing state's features `[S, 1, F]`."""
    size = features.shape[1]
    row = torch.arange(size, device=features.device)
    return torch.where((row < share.unsqueeze(-1) * size).unsqueeze(-1), absorbing_features, features)


def discriminator_loss(
    policy_logit: Tensor, expert_logit: Tensor, absorbing_logit: Tensor, policy_share: Tensor, expert_share: Tensor
) -> Tensor:
    """The discriminator's loss `[S]`; D = sigmoid(logit) is the probability that a transition is the expert's.

        L_D = - E_expert[log D] - E_pi[log(1 - D)]   (1606.03476, algorithm 1)

    log D = -softplus(-logit) and log(1 - D) = -softplus(logit). Of each side's occupancy a share (`policy_share`,
    `expert_share`, `[S]`) is the absorbing state with `absorbing_logit` `[S]`; the rest are its batch's transitions `[S, B]`.

    The reward is r = log D - log(1 - D) = logit (1809.02925), whose optimum is log rho_E / rho_pi.
    """
    policy = torch.lerp(F.softplus(policy_logit).mean(-1), F.softplus(absorbing_logit), policy_share)
    expert = torch.lerp(F.softplus(-expert_logit).mean(-1), F.softplus(-absorbing_logit), expert_share)
    return policy + expert


# ---------------------------------------------------------------------------------------------------------- IQ-Learn


def discounted_value(next_value: Tensor, terminated: Tensor, gamma: float) -> Tensor:
    """What a transition leads to `[S, B]`, nothing after a termination; `next_value` is V(s') `[S, B]`.

    gamma (1 - terminated) V(s')
    """
    return gamma * (1 - terminated) * next_value


def iq_learn_loss(
    policy_reward: Tensor, expert_reward: Tensor, policy_drop: Tensor, expert_drop: Tensor, value_regularizer: float
) -> Tensor:
    """The critics' loss `[S]`, online, with the chi-squared divergence on the data of both sides (2106.12142, section 5).

        L_Q = mean_k { lambda/2 (E_pi[r_k^2] + E_expert[r_k^2]) - E_expert[r_k] } + 1/2 (E_pi + E_expert)[ V(s) - gamma V(s') ]

    r_k = Q_k(s, a) - gamma V(s') `[S, K, B]` is the reward for which critic k is right, and the drop V(s) - gamma V(s')
    `[S, B]` is that of the policy's own action: its mean under any occupancy is (1 - gamma) E[V(s_0)] = E_pi[r]. The authors'
    1/(4 alpha), the weight of the mean square over both sides, is lambda.
    """
    squares = policy_reward.square().mean(-1) + expert_reward.square().mean(-1)  # [S, K]
    per_critic = 0.5 * value_regularizer * squares - expert_reward.mean(-1)
    return per_critic.mean(-1) + 0.5 * (policy_drop.mean(-1) + expert_drop.mean(-1))


# -------------------------------------------------------------------------------------------------------------- SQIL


def sqil_rewards(policy_reward: Tensor, expert_reward: Tensor) -> tuple[Tensor, Tensor]:
    """Rewards `[S, B]` in place of the environment's: 0 for the policy's transitions, 1 for the expert's.

    With as many of each in a batch, the critics' loss is

        delta^2(D_expert, 1) + delta^2(D_pi, 0),   delta^2(D, r) = E_D[ (Q(s, a) - (r + gamma V(s')))^2 ]

    (1905.11108, algorithm 1).
    """
    return torch.zeros_like(policy_reward), torch.ones_like(expert_reward)


# ---------------------------------------------------------------------------------------------------------------- BC


def behavior_cloning_loss(mean: Tensor, expert_action: Tensor) -> Tensor:
    """Mean squared error `[S]` per component of the action, of means before the tanh and expert actions, `[S, B, A]` each.

    L_BC = E |tanh(mean(s)) - a_expert|^2 / A
    """
    return (torch.tanh(mean) - expert_action).square().mean((-2, -1))
