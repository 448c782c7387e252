"""IPMD's expert data: what it takes, how it standardises, and the share that critic and policy learn from."""

import pytest
import torch

from rlopt import losses
from rlopt.errors import UserError
from rlopt.imitation.expert_buffer import ExpertReplayBuffer

from .shared import A, B, O, S, build

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


def test_actor_and_critics_see_standardised_observations_if_asked(batch, expert):
    plain, agent = build(), build(standardize_observations=True, min_observation_std=0.5)
    buffer = ExpertReplayBuffer(demonstrations())
    agent.set_expert_buffer(buffer)
    mean, std = buffer.observation_statistics()
    given = mean + std * torch.tensor([1.0, -2.0, 1000.0])
    seen = torch.tensor([1.0, -2.0, 5.0]).expand(S, 4, O)  # no more than 5 deviations away
    given, action = given.expand(S, 4, O), torch.zeros(S, 4, A)
    for own, other in ((agent.actor, plain.actor), (agent.mirror_actor, plain.actor), (agent.policy, plain.policy)):
        torch.testing.assert_close(own(given), other(seen))
    for name in ("critic", "target_critic"):
        torch.testing.assert_close(getattr(agent.sac, name)(given, action), getattr(plain.sac, name)(seen, action))
    torch.testing.assert_close(agent.reward_net.features(given, action, given)[..., :O], seen)
    agent.update(batch, expert)
    torch.testing.assert_close(agent.actor.standardizer.mean, mean)


def test_a_learner_on_a_taken_reward_sees_as_its_teacher_does():
    teacher, pupil = (build(seed=seed, standardize_observations=True) for seed in (1, 2))
    teacher.set_expert_buffer(ExpertReplayBuffer(demonstrations()))
    pupil.take_reward(teacher)
    for name in ("actor", "reward_net"):
        for part in ("mean", "std"):
            own, taken = (getattr(getattr(agent, name).standardizer, part) for agent in (pupil, teacher))
            assert torch.equal(own, taken)
            assert not torch.equal(own, torch.full_like(own, part == "std"))


# ------------------------------------------------------------------------------------------------------ expert's share


def test_critic_and_policy_learn_from_the_experts_share(batch, expert, targets, monkeypatch):
    agent = build(expert_share=0.25)
    seen = []
    improve = agent.sac.improve_policy
    monkeypatch.setattr(
        agent.sac,
        "improve_policy",
        lambda observation, noise, num_own: (
            seen.append((observation, num_own)) or improve(observation, noise, num_own=num_own)
        ),
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
    assert torch.equal(seen[0][0], torch.cat([batch.observation[:, :6], expert.observation[:, :2]], 1))
    assert seen[0][1] == 6


def test_the_reward_step_sees_whole_batches_whatever_the_share(batch, expert):
    with_share, without = build(expert_share=0.5), build(expert_share=0.0)
    for agent in (with_share, without):
        agent.update(batch, expert)
    for a, b in zip(with_share.reward_net.parameters(), without.reward_net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(with_share.sac.critic.parameters()), next(without.sac.critic.parameters()))


def test_expert_batches_hold_what_the_share_takes():
    agent = build(expert_share=0.5, batch_size=64, expert_batch_size=8)
    agent.set_expert_buffer(ExpertReplayBuffer(demonstrations()))
    assert agent.sample_expert(3).shape[:3] == (3, S, 32)


def test_a_share_reaches_as_far_as_the_expert_batch(make_batch):
    own, other = make_batch(S, 8), make_batch(S, 3, seed=1)
    mixed, kept = own.with_share_of(other, 0.5)
    assert torch.equal(mixed.reward, torch.cat([own.reward[:, :5], other.reward], 1))
    assert kept == 5
    assert own.with_share_of(other, 0.0) == (own, 8)
    assert own.with_share_of(own, 0.99)[1] == 1


def test_the_average_reward_is_the_policys_alone(batch, expert):
    baselines = []
    for share in (0.0, 0.75):
        agent = build(average_reward=True, expert_share=share, initial_alpha=1e-9)  # no entropy beside the reward
        agent.update(batch, expert)
        baselines.append(agent.average_reward)
    torch.testing.assert_close(*baselines)
