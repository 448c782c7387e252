"""IPMD's rewards: each is the one that is learned from; a learned one parts expert from policy, a frozen one stays."""

from typing import get_args, get_type_hints

import pytest
import torch

from rlopt.agents import EnvironmentReward, FrozenReward
from rlopt.config import IPMDConfig
from rlopt.errors import UserError
from rlopt.networks import RewardNet, seed_generators

from .shared import A, B, O, S, build, build_frozen, configure, learned_reward, scale_reward, set_reward_rate

REWARD_INPUTS = get_args(get_type_hints(IPMDConfig)["reward_inputs"])

# ---------------------------------------------------------------------------------------- the learned reward is used


def test_the_critic_target_follows_the_reward_network(batch, targets):
    for factor in (1.0, 2.0):
        agent = build_frozen()
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
    agents = [build_frozen() if frozen else build() for _ in range(2)]
    for step in range(3):
        agents[0].update(batch, expert)
        agents[1].update(batch._replace(reward=batch.reward * 100 + step), expert)
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


def test_the_reward_is_the_one_before_the_reward_step(batch, expert, targets):
    agent = build()
    net = agent.reward.net
    before = net(net.features(batch.observation, batch.action, batch.next_observation)).detach()
    agent.update(batch, expert)
    torch.testing.assert_close(targets[0]["reward"], before)


def test_the_reward_step_parts_expert_from_policy(batch, expert, weight):
    reward = learned_reward()
    set_reward_rate(reward, 1e-2)
    for _ in range(100):
        *_, metrics = reward.update(batch, expert, weight)
    assert (metrics["reward_expert"] > metrics["reward_policy"] + 0.1).all()


def test_a_step_is_that_of_adam_at_3e_4(batch, expert, weight):
    reward = learned_reward()
    before = [parameter.clone() for parameter in reward.net.parameters()]
    reward.update(batch, expert, weight)
    for old, new in zip(before, reward.net.parameters(), strict=True):
        step = (new - old).abs().max().item()
        assert step == pytest.approx(3e-4, rel=1e-2)  # of the first step: lr g / (|g| + eps)


def test_the_learned_reward_is_that_of_the_mean_network(batch, expert):
    agent = build()
    set_reward_rate(agent.reward, 1e-2)
    layers, seen, margins = agent.reward.net.mlp.layers, [], []
    for _ in range(6):
        metrics = agent.update(batch, expert)
        seen.append([(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in layers])
        margins.append((metrics["reward_expert"] - metrics["reward_policy"]).clamp_min(0))
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
    teacher = build(seed=1)
    for _ in range(4):
        teacher.update(batch, expert)
    pupil = build_frozen(seed=2, taken=teacher.reward)
    learned = teacher.reward(batch.observation, batch.action, batch.next_observation)
    assert torch.equal(pupil.reward(batch.observation, batch.action, batch.next_observation), learned)
    assert (teacher.reward.policy_termination_rate > 0).all()
    assert torch.equal(pupil.reward.policy_termination_rate, teacher.reward.policy_termination_rate)
    assert torch.equal(pupil.reward.expert_termination_rate, teacher.reward.expert_termination_rate)
    pupil.update(batch)
    torch.testing.assert_close(targets[-1]["reward"], learned)


def clone(state):
    return {key: clone(value) if isinstance(value, dict) else value.clone() for key, value in state.items()}


@pytest.mark.parametrize("given", [False, True])
def test_a_frozen_reward_stays_as_it_is(given, batch, expert, assert_same_state):
    agent = build_frozen()
    before = clone(agent.reward.state_dict())
    for _ in range(3):
        metrics = agent.update(batch, expert if given else None)  # and needs no expert
    assert_same_state(agent.reward.state_dict(), before)
    assert set(metrics) == {"critic_loss", "q_mean", "policy_loss", "alpha", "entropy"}
    assert agent.reward.optimizers == agent.reward.generators == ()
    assert agent.optimizers == agent.sac.optimizers


@pytest.mark.parametrize("hidden_sizes", [(8, 8), (16,), (4, 4, 4)])
def test_a_frozen_reward_has_the_widths_it_was_learned_with(hidden_sizes, batch, expert, weight, assert_same_state):
    learned = learned_reward(seed=3)
    learned.fit_standardizer(torch.tensor([1.0, -1.0, 0.5]), torch.tensor([2.0, 1.0, 3.0]))
    learned.update(batch, expert, weight)
    transitions = (batch.observation, batch.action, batch.next_observation)
    config = configure(hidden_sizes=hidden_sizes)
    frozen = FrozenReward(config, O, A, learned.state_dict())
    again = FrozenReward(config, O, A, frozen.state_dict())
    for reward in (frozen, again):
        assert torch.equal(reward(*transitions), learned(*transitions))
        relabelled, experts, metrics = reward.update(batch, expert, reward.draw(batch))
        assert torch.equal(relabelled.reward, learned(*transitions))
        assert torch.equal(relabelled.observation, batch.observation)
        assert (experts, metrics) == (None, {})
    assert_same_state(again.state_dict(), frozen.state_dict())
    build(hidden_sizes=hidden_sizes, reward=frozen).update(batch)


def test_a_frozen_reward_is_a_copy(batch, expert):
    teacher = build()
    frozen = FrozenReward(configure(), O, A, teacher.reward.state_dict())
    before = clone(frozen.state_dict())
    for _ in range(3):
        teacher.update(batch, expert)
    for name, value in frozen.state_dict()["scoring_net"].items():
        assert torch.equal(value, before["scoring_net"][name])
    assert (frozen.policy_termination_rate == 0).all()
    assert (frozen.expert_termination_rate == 0).all()


def test_the_environments_reward_passes_the_batch_on(batch, expert, targets):
    reward = EnvironmentReward()
    assert reward.update(batch, expert, reward.draw(batch)) == (batch, None, {})
    build(reward=reward).update(batch)
    (call,) = targets
    assert torch.equal(call["reward"], batch.reward)
    goes_on = batch.terminated == 0
    torch.testing.assert_close(call["target"][goes_on], (call["reward"] + 0.9 * call["next_value"])[goes_on])
    assert reward.state_dict() == {}
    assert reward.optimizers == reward.generators == ()


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


# ------------------------------------------------------------------------------------------------------ what it refuses


REFUSED = [
    # (settings, the allowed neighbours' changes to them, options that the sentence names)
    ({"mirror_period": 50}, [{"inverse_eta": 0.1}, {"mirror_period": 100}], ["mirror_period", "inverse_eta"]),
    (
        {"gradient_penalty": 0.0, "lipschitz_constant": 0.5},
        [{"gradient_penalty": 0.1}, {"lipschitz_constant": 1.0}],
        ["lipschitz_constant", "gradient_penalty"],
    ),
    (
        {"expert_bound": True, "average_reward": True, "entropy_backup": False},
        [{"expert_bound": False}, {"average_reward": False}],
        ["expert_bound", "average_reward"],
    ),
    (
        {"expert_bound": True, "entropy_backup": True},
        [{"expert_bound": False}, {"entropy_backup": False}],
        ["expert_bound", "entropy_backup"],
    ),
    (
        {"expert_ratio": 0.5, "batch_size": 64, "expert_batch_size": 31},
        [{"expert_ratio": 0.49}, {"batch_size": 62}, {"expert_batch_size": 32}],
        ["expert_batch_size", "expert_ratio"],
    ),
]


def assert_one_sentence(error, options):
    sentence = str(error.value)
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    assert all(option in sentence for option in options), sentence


@pytest.mark.parametrize(("settings", "neighbours", "options"), REFUSED)
def test_an_option_that_silences_another_is_refused(settings, neighbours, options):
    with pytest.raises(UserError) as error:
        IPMDConfig(**settings)
    assert_one_sentence(error, options)
    for changes in neighbours:
        IPMDConfig(**{**settings, **changes})


SILENCED = {
    "expert_ratio": {"expert_ratio": 0.5},
    "expert_bound": {"expert_bound": True, "entropy_backup": False},
    "standardize_observations": {"standardize_observations": True},
}


@pytest.mark.parametrize("option", SILENCED)
def test_a_reward_refuses_options_that_it_would_silence(option):
    settings = SILENCED[option]
    build(**settings)
    with pytest.raises(UserError, match=f"{option} has no effect with EnvironmentReward") as error:
        build(reward=EnvironmentReward(), **settings)
    assert_one_sentence(error, [option])
    if option == "standardize_observations":
        build_frozen(**settings)
        return
    with pytest.raises(UserError, match=f"{option} has no effect with FrozenReward") as error:
        build_frozen(**settings)
    assert_one_sentence(error, [option])


def test_all_options_that_a_reward_would_silence_are_named():
    settings = {name: value for part in SILENCED.values() for name, value in part.items()}
    with pytest.raises(UserError) as error:
        build(reward=EnvironmentReward(), **settings)
    assert_one_sentence(error, SILENCED)
    build(reward=EnvironmentReward(), entropy_backup=False, absorbing_states=False, recent_ratio=0.5)
