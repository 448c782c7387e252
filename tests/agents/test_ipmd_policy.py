"""What IPMD's critic and policy make of a reward: mirror step, absorbing states and average reward, each on its own."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from rlopt import losses
from rlopt.agents import EnvironmentReward

from .shared import A, B, O, S, build, build_frozen, constant_reward, learned_reward, set_reward_rate


@pytest.fixture
def noise():
    """Of the policies' actions."""
    return torch.randn(S, B, A, generator=torch.Generator().manual_seed(2))


# ------------------------------------------------------------------------------------------------------- mirror step


def test_the_mirror_policy_is_updated_at_every_period(batch, expert):
    agent = build(inverse_eta=1.0, mirror_period=3)

    def weights(actor):
        return torch.cat([parameter.detach().flatten() for parameter in actor.parameters()]).clone()

    updated, mirror = [], weights(agent.mirror_actor)
    assert torch.equal(mirror, weights(agent.actor))
    for number in range(1, 8):
        agent.update(batch, expert)
        if torch.equal(weights(agent.mirror_actor), weights(agent.actor)):
            updated.append(number)
        else:
            assert torch.equal(weights(agent.mirror_actor), mirror)
        mirror = weights(agent.mirror_actor)
    assert updated == [3, 6]


def test_the_temperature_holds_the_entropy_where_the_policy_itself_comes(batch, noise):
    """In the expert's states critics leave it little: counted there, too, it was 9 where Humanoids fell, not -17."""

    def after(observation, noise, num_policy_samples=None):
        sac = build().sac
        metrics = sac.update_actor(observation, noise, num_policy_samples=num_policy_samples)
        return metrics["entropy"], sac.actor_optimizer.means[-1]  # the last parameter is log alpha

    entropy, gradient = after(batch.observation, noise, num_policy_samples=3)
    alone, gradient_alone = after(batch.observation[:, :3], noise[:, :3])
    torch.testing.assert_close(entropy, alone)
    torch.testing.assert_close(gradient, gradient_alone)
    assert (gradient != after(batch.observation, noise)[1]).all()


def test_the_mirror_step_adds_the_kl_between_the_squashed_policies(batch, noise):
    mirror_agent = build(seed=7)
    mirror = tuple(value.detach() for value in mirror_agent.actor(batch.observation))
    loss = {}
    for inverse_eta in (0.0, 2.0):
        agent = build()  # the same weights and noise
        mean, log_std = (value.detach() for value in agent.actor(batch.observation))
        loss[inverse_eta] = agent.sac.update_actor(batch.observation, noise, mirror, inverse_eta)["policy_loss"]

    def kl(mean, log_std, old_mean, old_log_std):
        """E_pi[log pi(a) - log pi_k(a)], the integral over actions a = tanh u, by quadrature."""

        def log_density(u, mean, log_std):
            z = (u - mean) / math.exp(log_std)
            return -0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi) - math.log(1 - math.tanh(u) ** 2)

        def integrand(action):
            u = math.atanh(action)
            log_p = log_density(u, mean, log_std)
            return math.exp(log_p) * (log_p - log_density(u, old_mean, old_log_std))

        return quad(integrand, -1 + 1e-12, 1 - 1e-12, limit=200)[0]

    columns = [value.squeeze(-1).double().numpy() for value in (mean, log_std, *mirror)]  # [S, B]
    numerical = np.vectorize(kl)(*columns).mean(1)
    assert (numerical > 1e-3).all()
    np.testing.assert_allclose((loss[2.0] - loss[0.0]).numpy(), 2 * numerical, rtol=1e-3)


def test_a_large_inverse_eta_holds_the_policy_back(batch, expert):
    moved = {}
    for inverse_eta in (0.0, 100.0):
        period = {"mirror_period": 1_000} if inverse_eta else {}
        agent = build(inverse_eta=inverse_eta, learning_rate=1e-2, **period)
        start = [value.detach() for value in agent.actor(batch.observation)]
        for _ in range(30):
            agent.update(batch, expert)
        now = agent.actor(batch.observation)
        moved[inverse_eta] = losses.gaussian_kl(*now, *start).mean().item()
    assert moved[100.0] < 0.1 * moved[0.0]


# -------------------------------------------------------------------------------------------------- absorbing states


def test_a_terminating_step_leads_to_the_absorbing_state(batch, targets):
    # gamma = 0.9: horizon 9. Ends 1/9 (expert) and 1/27 (policy) hold 1/2 and 1/4 of the occupancies;
    # lambda = 0.5: r_abs = (1/2 - 1/4) / (0.5 * 3/4) = 2/3, gamma r_abs / (1 - gamma) = 9 * 2/3 = 6.
    # Seed 1's expert never ends: r_abs = -2, and 9 * -2 = -18.
    agent = build_frozen()
    agent.reward.expert_termination_rate.copy_(torch.tensor([1 / 9, 0.0]))
    agent.reward.policy_termination_rate.copy_(torch.tensor([1 / 27, 0.1]))
    agent.update(batch)
    reward, target = targets[0]["reward"], targets[0]["target"]
    ended = batch.terminated > 0
    assert ended.any(1).all()
    worth = torch.tensor([[6.0], [-18.0]])
    torch.testing.assert_close(target[ended], (reward + worth)[ended], atol=1e-4, rtol=1e-5)
    bootstrap = reward + 0.9 * targets[0]["next_value"]
    torch.testing.assert_close(target[~ended], bootstrap[~ended])


@pytest.mark.parametrize("frozen", [True, False])
def test_without_absorbing_states_nothing_follows_termination(frozen, batch, targets):
    agent = build_frozen(absorbing_states=False) if frozen else build(reward=EnvironmentReward())
    agent.update(batch)
    ended = batch.terminated > 0
    assert torch.equal(targets[0]["target"][ended], targets[0]["reward"][ended])


def test_termination_rates_are_running_means_of_the_data(batch, expert, weight):
    # 2 of 8 policy transitions end, 1 of 8 expert ones: 0.25 and 0.125 are where the means stay, and towards which they go
    policy_ends, expert_ends = (torch.tensor([[1.0] * count + [0.0] * (B - count)] * S) for count in (2, 1))
    reward = learned_reward()
    reward.policy_termination_rate.copy_(torch.tensor([0.25, 0.0]))
    reward.expert_termination_rate.copy_(torch.tensor([0.125, 1.0]))
    reward.update(batch._replace(terminated=policy_ends), expert._replace(terminated=expert_ends), weight)
    assert reward.policy_termination_rate[0].item() == pytest.approx(0.25)
    assert reward.expert_termination_rate[0].item() == pytest.approx(0.125)
    assert 0 < reward.policy_termination_rate[1].item() < 0.25
    assert 0.125 < reward.expert_termination_rate[1].item() < 1


# A task of two states: alive, where action 0 goes on and action 1 ends the episode, and what follows the end.
# gamma = 0.9, lambda = 0.5: learned rewards lie within +-2.
GAMMA, REGULARIZER, HORIZON = 0.9, 0.5, 9.0


def better_action(reward, terminal_value):
    """Value iteration with the library's target: which of the two actions a learner comes to prefer."""
    q = torch.zeros(2, dtype=torch.float64)
    terminated = torch.tensor([0.0, 1.0])
    for _ in range(500):
        q = losses.critic_target(reward, terminated, q.max().expand(2), GAMMA, terminal_value)
    return ("go on", "end")[int(q.argmax())], q


@pytest.mark.parametrize(
    ("reward", "expert_ends", "policy_ends", "naive", "right"),
    [
        # The expert lives for ever and each step looks slightly bad: -0.2 for ever is -2, so to die at -0.2 looks better.
        # r_abs = -1/lambda = -2 makes death worth -0.2 + 9 * -2 = -18.2.
        (-0.2, 0.0, 0.05, "end", "go on"),
        # The expert ends (it reaches a goal) and each step looks slightly good: 0.2 for ever is 2, so a learner that gets
        # 0.2 for the goal never goes there. r_abs = 1/lambda = 2 makes the goal worth 0.2 + 9 * 2 = 18.2.
        (0.2, 0.1, 0.0, "go on", "end"),
    ],
)
def test_absorbing_states_undo_the_bias_of_a_terminal_value_of_zero(reward, expert_ends, policy_ends, naive, right):
    rewards = torch.full((2,), reward, dtype=torch.float64)
    assert better_action(rewards, 0.0)[0] == naive
    ends = (torch.tensor([share], dtype=torch.float64) for share in (expert_ends, policy_ends))
    r_abs = losses.absorbing_reward(*ends, HORIZON, REGULARIZER).item()
    action, q = better_action(rewards, r_abs / (1 - GAMMA))
    assert action == right
    assert q[1].item() == pytest.approx(math.copysign(18.2, reward))


# ---------------------------------------------------------------------------------------------------- average reward


def test_average_reward_has_no_discount_and_a_baseline(batch, targets):
    agent = build_frozen(average_reward=True)
    constant_reward(agent, 0.7)
    agent.rho.copy_(torch.tensor([0.5, -1.0]))
    agent.update(batch)
    assert targets[0]["gamma"] == 1.0
    # r - rho = 0.7 - 0.5 and 0.7 + 1
    torch.testing.assert_close(targets[0]["reward"], torch.tensor([[0.2], [1.7]]).expand(S, B))
    goes_on = batch.terminated == 0
    undiscounted = (targets[0]["reward"] + targets[0]["next_value"])[goes_on]
    torch.testing.assert_close(targets[0]["target"][goes_on], undiscounted)


@pytest.mark.parametrize("entropy_backup", [True, False])
def test_the_running_mean_becomes_the_soft_average_reward(entropy_backup, make_batch):
    # A policy that hardly learns, N(0, 1) before the tanh, has the entropy log sqrt(2 pi e) + E[log(1 - tanh(u)^2)]
    # = 1.418939 - 0.749134 = 0.669804. With a constant reward of 0.7 and alpha = 0.5, rho = 0.7 + 0.5 * 0.669804 = 1.0349.
    def log_jacobian(u):
        return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) * 2 * math.log(1 / math.cosh(u))

    entropy = 0.5 * math.log(2 * math.pi * math.e) + quad(log_jacobian, -30, 30)[0]
    assert entropy == pytest.approx(0.669804, abs=1e-6)
    settings = {"initial_alpha": 0.5, "learning_rate": 1e-12, "entropy_backup": entropy_backup}
    agent = build_frozen(average_reward=True, **settings)
    constant_reward(agent, 0.7)
    for parameter in agent.actor.mlp.layers[-1].parameters():
        parameter.data.zero_()
    # log_std = -5 + 3.5 (tanh(raw) + 1) = 0 at tanh(raw) = 3/7
    agent.actor.mlp.layers[-1].bias.data[..., 1] = math.atanh(3 / 7)
    soft_average = 0.7 + 0.5 * entropy if entropy_backup else 0.7
    agent.rho.copy_(torch.tensor([soft_average - 0.1, soft_average + 0.1]))
    batch = make_batch(S, 64, O, A)
    for _ in range(360):  # a running mean of rate 0.005: 0.1 (1 - 0.005)^360 = 0.016 is left
        agent.update(batch)
    torch.testing.assert_close(agent.rho, torch.full((S,), soft_average), atol=0.03, rtol=0)


# -------------------------------------------------------------------------------------------------- critics' targets


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [
        # 1 / (lambda (1 - gamma)) = 1 / (0.5 * 0.1); entropy that counts may cost anything
        ({}, -1e6, 20.0),
        ({"entropy_backup": False}, -20.0, 20.0),
        ({"entropy_backup": False, "value_regularizer": 2.0}, -5.0, 5.0),
        ({"entropy_backup": False, "average_reward": True}, -1e6, 1e6),  # no discount, no bounds
        # the expert's best transition has a reward of 0.7:  0.7 / 0.1
        ({"entropy_backup": False, "expert_bound": True}, -20.0, 7.0),
        ({"frozen": True}, -1e6, 20.0),
        ({"frozen": True, "entropy_backup": False}, -20.0, 20.0),
        ({"entropy_backup": False, "reward": EnvironmentReward()}, -1e6, 1e6),  # it may be anything
    ],
)
def test_critics_are_not_believed_beyond_what_rewards_add_up_to(settings, least, most, batch, expert, targets):
    how = {name: value for name, value in settings.items() if name != "frozen"}
    agent = (build_frozen if "frozen" in settings else build)(initial_alpha=1e-12, **how)
    if "reward" not in settings:
        constant_reward(agent, 0.7)
    if agent.config.expert_bound:
        agent.reward.highest_reward.fill_(0.7)  # where the running mean of that reward comes to
    for bias in (-1e6, 1e6):
        agent.sac.target_critic.mlp.layers[-1].bias.data.fill_(bias)
        agent.update(batch, expert)
    for call, value in zip(targets, (least, most), strict=True):
        torch.testing.assert_close(call["next_value"], torch.full((S, B), value), rtol=1e-5, atol=1e-3)


def test_an_end_that_the_expert_seeks_may_be_worth_more_than_its_best_transition(batch, expert, targets):
    agent = build(initial_alpha=1e-12, expert_bound=True, entropy_backup=False)
    constant_reward(agent, 0.7)
    agent.reward.highest_reward.fill_(0.7)
    agent.sac.target_critic.mlp.layers[-1].bias.data.fill_(1e6)
    never = torch.zeros(S, B)
    agent.update(batch._replace(terminated=never), expert._replace(terminated=torch.ones(S, B)))
    # that of an end which is the expert's alone: 2 / 0.1
    torch.testing.assert_close(targets[0]["next_value"], torch.full((S, B), 20.0))


def test_the_experts_best_transition_is_a_running_mean_from_the_highest_reward_on(batch, expert, weight):
    reward = learned_reward(expert_bound=True, entropy_backup=False)
    set_reward_rate(reward, 1e-12)
    best = reward.update(batch, expert, weight)[1].reward.amax(-1)
    torch.testing.assert_close(reward.highest_reward, 0.995 * 2.0 + 0.005 * best)  # 1 / lambda = 2
    reward.highest_reward.copy_(best + 0.1)
    for _ in range(1_000):  # 0.1 (1 - 0.005)^1000 = 0.0007 is left
        reward.update(batch, expert, weight)
    torch.testing.assert_close(reward.highest_reward, best, atol=1e-3, rtol=0)


def test_a_reward_that_overshoots_raises_no_bound(batch, expert, weight):
    agent = build(expert_bound=True, entropy_backup=False)
    set_reward_rate(agent.reward, 1e-12)
    constant_reward(agent, 3.0)
    agent.reward.update(batch, expert, weight)
    assert agent.reward.highest_reward.tolist() == [2.0] * S  # 1 / lambda


def test_without_expert_bound_the_highest_reward_is_the_most_that_a_reward_may_be(batch, expert, weight):
    reward = learned_reward(value_regularizer=0.25)
    reward.update(batch, expert, weight)
    assert reward.highest_reward.tolist() == [4.0] * S  # 1 / lambda


def test_without_entropy_backup_critics_hear_of_rewards_alone(batch, expert, targets):
    for alpha in (1e-12, 0.5):
        build(initial_alpha=alpha, entropy_backup=False).update(batch, expert)
    build(initial_alpha=0.5).update(batch, expert)
    cold, warm, soft = (call["next_value"] for call in targets)
    torch.testing.assert_close(warm, cold)
    assert ((soft - cold).abs() > 1e-3).all()
