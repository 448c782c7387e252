"""The parts of IPMD, each on its own: reward step, penalties, mirror step, absorbing states, average reward."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from rlopt import losses
from rlopt.agents import IPMD
from rlopt.config import REWARD_INPUTS, IPMDConfig
from rlopt.errors import UserError
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.networks import RewardNet, seed_generators

S, B, O, A = 2, 8, 3, 1  # noqa: E741


def build(seed=0, num_seeds=S, **settings):
    config = IPMDConfig(**{"hidden_sizes": (8, 8), "learning_rate": 1e-3, "gamma": 0.9, **settings})
    return IPMD(config, O, A, num_seeds=num_seeds, seed=seed)


@pytest.fixture
def batch(make_batch):
    return make_batch(S, B, O, A, seed=0)


@pytest.fixture
def expert(make_batch):
    return make_batch(S, B, O, A, seed=1)


@pytest.fixture
def noise():
    """Of the policies' actions."""
    return torch.randn(S, B, A, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def weight():
    """Of the points at which the reward's slope is measured."""
    return torch.rand(S, B, 1, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def targets(monkeypatch):
    """What `losses.critic_target` was given and answered: dicts with its arguments and "target"."""
    calls = []
    critic_target = losses.critic_target

    def spy(reward, terminated, next_value, gamma, terminal_value=0.0):
        target = critic_target(reward, terminated, next_value, gamma, terminal_value)
        names = ("reward", "terminated", "next_value", "gamma", "target")
        calls.append(dict(zip(names, (reward, terminated, next_value, gamma, target), strict=True)))
        return target

    monkeypatch.setattr(losses, "critic_target", spy)
    return calls


def scale_reward(agent, factor):
    """Multiply the reward network's output."""
    with torch.no_grad():
        for parameter in agent.reward_net.mlp.layers[-1].parameters():
            parameter *= factor


def constant_reward(agent, value):
    scale_reward(agent, 0.0)
    agent.reward_net.mlp.layers[-1].bias.data.fill_(value)


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


# ------------------------------------------------------------------------------------------------------ expert data


def demonstrations(observation_size=O, action_size=A, n=20):
    generator = torch.Generator().manual_seed(3)
    return {
        "observation": 5 + 3 * torch.randn(n, observation_size, generator=generator),
        "action": torch.rand(n, action_size, generator=generator) * 2 - 1,
        "next_observation": 5 + 3 * torch.randn(n, observation_size, generator=generator),
    }


def test_an_update_needs_demonstrations(batch):
    with pytest.raises(UserError, match="set_expert_buffer"):
        build().update(batch)
    build(use_environment_reward=True).update(batch)


def test_an_update_takes_expert_batches_of_the_size_asked_for(batch, monkeypatch):
    agent = build(expert_batch_size=5)
    agent.set_expert_buffer(ExpertReplayBuffer(demonstrations()))
    assert agent.sample_expert(2).shape == (2, S, 5, 2 * O + A + 2)
    seen = []
    reward_loss = losses.reward_loss
    monkeypatch.setattr(losses, "reward_loss", lambda *args: (seen.append(args), reward_loss(*args))[1])
    agent.update(batch)
    assert [tuple(value.shape) for value in seen[0][:2]] == [(S, B), (S, 5)]


@pytest.mark.parametrize(("observation_size", "action_size"), [(4, 1), (3, 2)])
def test_demonstrations_of_another_environment(observation_size, action_size):
    expected = rf"size {observation_size} and actions of size {action_size}.* has {O} and {A}"
    with pytest.raises(UserError, match=expected):
        build().set_expert_buffer(ExpertReplayBuffer(demonstrations(observation_size, action_size)))


def test_demonstrations_must_be_wrapped():
    with pytest.raises(UserError, match=r"ExpertReplayBuffer.*dict"):
        build().set_expert_buffer(demonstrations())


def test_the_reward_sees_standardised_observations():
    agent = build(min_observation_std=1.0)
    data = demonstrations()
    data["observation"][:, 2] = data["next_observation"][:, 2] = 7.0  # never moves: divided by the floor
    agent.set_expert_buffer(ExpertReplayBuffer(data))
    both = torch.cat([data["observation"], data["next_observation"]])
    given = torch.full((S, 1, O), 8.0)
    features = agent.reward_net.features(given, torch.zeros(S, 1, A), given)
    wanted = [*((8 - both[:, :2].mean(0)) / both[:, :2].std(0, correction=0)).tolist(), 1.0, 0.0]
    torch.testing.assert_close(features[0, 0], torch.tensor(wanted))


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


# ------------------------------------------------------------------------------------------------------- mirror step


def test_the_mirror_policy_is_renewed_at_every_period(batch, expert):
    agent = build(inverse_eta=1.0, mirror_period=3)

    def weights(actor):
        return torch.cat([parameter.detach().flatten() for parameter in actor.parameters()]).clone()

    renewed, mirror = [], weights(agent.mirror_actor)
    assert torch.equal(mirror, weights(agent.actor))
    for number in range(1, 8):
        agent.update(batch, expert)
        if torch.equal(weights(agent.mirror_actor), weights(agent.actor)):
            renewed.append(number)
        else:
            assert torch.equal(weights(agent.mirror_actor), mirror)
        mirror = weights(agent.mirror_actor)
    assert renewed == [3, 6]


def test_the_mirror_step_adds_the_kl_between_the_squashed_policies(batch, noise):
    mirror_agent = build(seed=7)
    mirror = tuple(value.detach() for value in mirror_agent.actor(batch.observation))
    loss = {}
    for inverse_eta in (0.0, 2.0):
        agent = build()  # the same weights and noise
        mean, log_std = (value.detach() for value in agent.actor(batch.observation))
        loss[inverse_eta] = agent.sac.improve_policy(batch.observation, noise, mirror, inverse_eta)["policy_loss"]

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
        agent = build(inverse_eta=inverse_eta, mirror_period=1_000, learning_rate=1e-2)
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
    agent = build(freeze_reward=True)
    agent.expert_ends.copy_(torch.tensor([1 / 9, 0.0]))
    agent.policy_ends.copy_(torch.tensor([1 / 27, 0.1]))
    agent.update(batch)
    reward, target = targets[0]["reward"], targets[0]["target"]
    ended = batch.terminated > 0
    assert ended.any(1).all()
    worth = torch.tensor([[6.0], [-18.0]])
    torch.testing.assert_close(target[ended], (reward + worth)[ended], atol=1e-4, rtol=1e-5)
    bootstrap = reward + 0.9 * targets[0]["next_value"]
    torch.testing.assert_close(target[~ended], bootstrap[~ended])


@pytest.mark.parametrize("settings", [{"absorbing_states": False}, {"use_environment_reward": True}])
def test_without_absorbing_states_nothing_follows_termination(settings, batch, targets):
    agent = build(freeze_reward=True, **settings)
    agent.update(batch)
    ended = batch.terminated > 0
    assert torch.equal(targets[0]["target"][ended], targets[0]["reward"][ended])


def test_shares_of_ends_are_running_means_of_the_data(batch, expert, weight):
    # 2 of 8 policy transitions end, 1 of 8 expert ones: 0.25 and 0.125 are where the means stay, and towards which they go
    policy_ends, expert_ends = (torch.tensor([[1.0] * count + [0.0] * (B - count)] * S) for count in (2, 1))
    agent = build()
    agent.policy_ends.copy_(torch.tensor([0.25, 0.0]))
    agent.expert_ends.copy_(torch.tensor([0.125, 1.0]))
    agent.improve_reward(batch._replace(terminated=policy_ends), expert._replace(terminated=expert_ends), weight)
    assert agent.policy_ends[0].item() == pytest.approx(0.25)
    assert agent.expert_ends[0].item() == pytest.approx(0.125)
    assert 0 < agent.policy_ends[1].item() < 0.25
    assert 0.125 < agent.expert_ends[1].item() < 1


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
    agent = build(average_reward=True, freeze_reward=True)
    constant_reward(agent, 0.7)
    agent.average_reward.copy_(torch.tensor([0.5, -1.0]))
    agent.update(batch)
    assert targets[0]["gamma"] == 1.0
    # r - rho = 0.7 - 0.5 and 0.7 + 1
    torch.testing.assert_close(targets[0]["reward"], torch.tensor([[0.2], [1.7]]).expand(S, B))
    goes_on = batch.terminated == 0
    undiscounted = (targets[0]["reward"] + targets[0]["next_value"])[goes_on]
    torch.testing.assert_close(targets[0]["target"][goes_on], undiscounted)


def test_the_running_mean_becomes_the_soft_average_reward(make_batch):
    # A policy that hardly learns, N(0, 1) before the tanh, has the entropy log sqrt(2 pi e) + E[log(1 - tanh(u)^2)]
    # = 1.418939 - 0.749134 = 0.669804. With a constant reward of 0.7 and alpha = 0.5, rho = 0.7 + 0.5 * 0.669804 = 1.0349.
    def log_jacobian(u):
        return math.exp(-u * u / 2) / math.sqrt(2 * math.pi) * 2 * math.log(1 / math.cosh(u))

    entropy = 0.5 * math.log(2 * math.pi * math.e) + quad(log_jacobian, -30, 30)[0]
    assert entropy == pytest.approx(0.669804, abs=1e-6)
    agent = build(average_reward=True, freeze_reward=True, initial_alpha=0.5, learning_rate=1e-12)
    constant_reward(agent, 0.7)
    for parameter in agent.actor.mlp.layers[-1].parameters():
        parameter.data.zero_()
    # log_std = -5 + 3.5 (tanh(raw) + 1) = 0 at tanh(raw) = 3/7
    agent.actor.mlp.layers[-1].bias.data[..., 1] = math.atanh(3 / 7)
    soft_average = 0.7 + 0.5 * entropy
    agent.average_reward.copy_(torch.tensor([soft_average - 0.2, soft_average + 0.2]))
    batch = make_batch(S, 64, O, A)
    for _ in range(500):  # a running mean of rate 0.005: 0.2 (1 - 0.005)^500 = 0.016 is left
        agent.update(batch)
    torch.testing.assert_close(agent.average_reward, torch.full((S,), soft_average), atol=0.03, rtol=0)


# ------------------------------------------------------------------------------------------------------ expert's share


def test_critic_and_policy_learn_from_the_experts_share(batch, expert, targets, monkeypatch):
    agent = build(expert_share=0.25)
    seen = []
    improve = agent.sac.improve_policy
    monkeypatch.setattr(
        agent.sac, "improve_policy", lambda observation, noise: seen.append(observation) or improve(observation, noise)
    )
    net = agent.reward_net
    with torch.no_grad():
        own = net(net.features(batch.observation, batch.action, batch.next_observation))
        other = net(net.features(expert.observation, expert.action, expert.next_observation))
    agent.update(batch, expert)
    (call,) = targets
    # six of eight transitions are the policy's, two the expert's, each with the learned reward
    torch.testing.assert_close(call["reward"], torch.cat([own[:, :6], other[:, :2]], 1))
    assert torch.equal(call["terminated"], torch.cat([batch.terminated[:, :6], expert.terminated[:, :2]], 1))
    assert torch.equal(seen[0], torch.cat([batch.observation[:, :6], expert.observation[:, :2]], 1))


def test_the_reward_step_sees_whole_batches_whatever_the_share(batch, expert):
    with_share, without = build(expert_share=0.5), build(expert_share=0.0)
    for agent in (with_share, without):
        agent.update(batch, expert)
    for a, b in zip(with_share.reward_net.parameters(), without.reward_net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(with_share.sac.critic.parameters()), next(without.sac.critic.parameters()))


def test_a_share_reaches_as_far_as_the_expert_batch(make_batch):
    own, other = make_batch(S, 8), make_batch(S, 3, seed=1)
    mixed = own.with_share_of(other, 0.5)
    assert torch.equal(mixed.reward, torch.cat([own.reward[:, :5], other.reward], 1))
    assert own.with_share_of(other, 0.0) is own


def test_the_average_reward_is_the_policys_alone(batch, expert):
    baselines = []
    for share in (0.0, 0.75):
        agent = build(average_reward=True, expert_share=share, initial_alpha=1e-9)  # no entropy beside the reward
        agent.update(batch, expert)
        baselines.append(agent.average_reward)
    torch.testing.assert_close(*baselines)


def test_the_slope_that_the_gradient_penalty_leaves_alone_can_be_chosen():
    gradient = torch.tensor([[[3.0, 4.0], [0.0, 2.0]]])  # norms 5 and 2
    # (5/2 - 1)^2 and (2/2 - 1)^2
    torch.testing.assert_close(losses.gradient_penalty(gradient, slope=2.0), torch.tensor([2.25 / 2]))
    assert losses.gradient_penalty(gradient, slope=5.0).tolist() == [0.0]
