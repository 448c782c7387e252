"""IPMD's expert data: what it takes, how it standardises, and the share that critic and policy learn from."""

import pytest
import torch

from rlopt import losses
from rlopt.agents import EnvironmentReward
from rlopt.agents.saving import save_agent
from rlopt.config import IPMDConfig, TrainingConfig
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.experiments.frozen_reward import frozen_reward_agent
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.training import train_online

from .shared import A, B, O, S, build, build_frozen

# ------------------------------------------------------------------------------------------------------ expert data


def demonstrations(observation_size=O, action_size=A, n=20):
    generator = torch.Generator().manual_seed(3)
    return {
        "observation": 5 + 3 * torch.randn(n, observation_size, generator=generator),
        "action": torch.rand(n, action_size, generator=generator) * 2 - 1,
        "next_observation": 5 + 3 * torch.randn(n, observation_size, generator=generator),
    }


def fit(agent, data):
    """What a training does with demonstrations before its first update."""
    buffer = ExpertReplayBuffer(data)
    agent.fit_standardizers(*buffer.observation_statistics())
    return buffer


def train(agent, expert=None):
    """Two updates on Pendulum, which has observations and actions of sizes O and A."""
    frames = {"frames": 20, "num_envs": 1, "steps_per_batch": 10, "warmup_frames": 10, "updates_per_frame": 0.1}
    config = TrainingConfig(num_seeds=S, eval_points=1, eval_episodes=1, compile=False, **frames)
    return train_online(agent, "Pendulum-v1", config, expert)


def test_an_update_needs_demonstrations(batch):
    with pytest.raises(UserError, match=r"no demonstrations to learn from: pass them to train_online"):
        build().update(batch)
    build(reward=EnvironmentReward()).update(batch)
    build_frozen().update(batch)


def test_a_training_needs_demonstrations():
    agent = build()
    with pytest.raises(UserError, match=r"IPMD needs demonstrations: train_online\(agent, env, config, expert\)"):
        train(agent)
    assert agent.num_updates == 0


def test_agents_ask_for_expert_data_only_if_they_learn_from_it():
    assert build(expert_batch_size=5).expert_batch_size == 5
    assert build(expert_batch_size=5, reward=EnvironmentReward()).expert_batch_size == 0
    assert build_frozen(expert_batch_size=5).expert_batch_size == 0


@pytest.mark.parametrize("set_before", [False, True])
def test_an_update_takes_expert_batches_of_the_size_asked_for(set_before, monkeypatch):
    agent, data = build(expert_batch_size=5, batch_size=B), ExpertReplayBuffer(demonstrations())
    seen = []
    reward_loss = losses.reward_loss
    monkeypatch.setattr(losses, "reward_loss", lambda *args: (seen.append(args), reward_loss(*args))[1])
    if set_before:
        agent.set_expert_buffer(data)
    train(agent, None if set_before else data)
    assert [[tuple(value.shape) for value in call[:2]] for call in seen] == [[(S, B), (S, 5)]] * 2
    assert not torch.equal(seen[0][1], seen[1][1])  # of each update's own transitions
    torch.testing.assert_close(agent.reward.net.standardizer.mean, data.observation_statistics()[0])


@pytest.mark.parametrize(("observation_size", "action_size"), [(4, 1), (3, 2)])
def test_demonstrations_of_another_environment(observation_size, action_size):
    expected = rf"size {observation_size} and actions of size {action_size}.* has {O} and {A}"
    other = ExpertReplayBuffer(demonstrations(observation_size, action_size))
    for take in (build().set_expert_buffer, lambda buffer: train(build(), buffer)):
        with pytest.raises(UserError, match=expected):
            take(other)


def test_demonstrations_must_be_wrapped():
    for take in (build().set_expert_buffer, lambda buffer: train(build(), buffer)):
        with pytest.raises(UserError, match=r"wrap the dict in an ExpertReplayBuffer"):
            take(demonstrations())


def test_the_reward_sees_standardised_observations():
    agent = build(min_observation_std=1.0)
    data = demonstrations()
    data["observation"][:, 2] = data["next_observation"][:, 2] = 7.0  # never moves: divided by the floor
    fit(agent, data)
    both = torch.cat([data["observation"], data["next_observation"]])
    given = torch.full((S, 1, O), 8.0)
    wanted = [*((8 - both[:, :2].mean(0)) / both[:, :2].std(0, correction=0)).tolist(), 1.0, 0.0]
    for net in (agent.reward.net, agent.reward.scoring_net):
        features = net.features(given, torch.zeros(S, 1, A), given)
        torch.testing.assert_close(features[0, 0], torch.tensor(wanted))


def test_actor_and_critics_see_standardised_observations_if_asked(batch, expert):
    plain, agent = build(), build(standardize_observations=True, min_observation_std=0.5)
    mean, std = fit(agent, demonstrations()).observation_statistics()
    given = mean + std * torch.tensor([1.0, -2.0, 1000.0])
    seen = torch.tensor([1.0, -2.0, 5.0]).expand(S, 4, O)  # no more than 5 deviations away
    given, action = given.expand(S, 4, O), torch.zeros(S, 4, A)
    for own, other in ((agent.actor, plain.actor), (agent.mirror_actor, plain.actor), (agent.policy, plain.policy)):
        torch.testing.assert_close(own(given), other(seen))
    for name in ("critic", "target_critic"):
        torch.testing.assert_close(getattr(agent.sac, name)(given, action), getattr(plain.sac, name)(seen, action))
    torch.testing.assert_close(agent.reward.net.features(given, action, given)[..., :O], seen)
    agent.update(batch, expert)
    torch.testing.assert_close(agent.actor.standardizer.mean, mean)


def test_a_learner_on_a_taken_reward_sees_as_its_teacher_does(tmp_path):
    teacher = build(seed=1, standardize_observations=True)
    fit(teacher, demonstrations())
    save_agent(tmp_path / "teacher.pt", teacher, "Pendulum-v1", list(range(S)))
    training = TrainingConfig(num_seeds=S, seed=2)
    how = (env_spec("Pendulum-v1"), training, torch.device("cpu"), None)
    pupil = frozen_reward_agent(tmp_path / "teacher.pt", *how)
    pairs = [
        (pupil.actor, teacher.actor),
        (pupil.sac.critic, teacher.sac.critic),
        (pupil.reward.scoring_net, teacher.reward.net),
    ]
    for own, taken in pairs:
        assert own.standardizer.clip == taken.standardizer.clip == 5.0
        for part in ("mean", "std"):
            value = getattr(own.standardizer, part)
            assert torch.equal(value, getattr(taken.standardizer, part))
            assert not torch.equal(value, torch.full_like(value, part == "std"))


# ------------------------------------------------------------------------------------------------------ expert's share


def test_critic_and_policy_learn_from_the_experts_share(batch, expert, targets, monkeypatch):
    agent = build(expert_ratio=0.25)
    seen = []
    update_actor = agent.sac.update_actor

    def spy(observation, noise, mirror, inverse_eta, num_policy_samples):
        seen.append((observation, num_policy_samples))
        return update_actor(observation, noise, mirror, inverse_eta, num_policy_samples)

    monkeypatch.setattr(agent.sac, "update_actor", spy)
    net = agent.reward.net
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
    with_share, without = build(expert_ratio=0.5), build(expert_ratio=0.0)
    for agent in (with_share, without):
        agent.update(batch, expert)
    for a, b in zip(with_share.reward.net.parameters(), without.reward.net.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(with_share.sac.critic.parameters()), next(without.sac.critic.parameters()))


def test_expert_batches_hold_what_the_share_takes():
    settings = {"expert_ratio": 0.5, "batch_size": 64}
    with pytest.raises(UserError, match=r"expert_batch_size 31 .* the 32 expert transitions that expert_ratio takes"):
        IPMDConfig(expert_batch_size=31, **settings)
    assert build(expert_batch_size=32, **settings).expert_batch_size == 32


def test_a_share_of_a_batch_is_the_experts(make_batch):
    own, other = make_batch(S, 8), make_batch(S, 8, seed=1)
    mixed, kept = own.mixed_with(other, 0.375)
    for value, mine, experts in zip(mixed, own, other, strict=True):
        assert torch.equal(value, torch.cat([mine[:, :5], experts[:, :3]], 1))
    assert kept == 5
    assert own.mixed_with(other, 0.0) == (own, 8)
    assert own.mixed_with(None, 0.5) == (own, 8)
    assert own.mixed_with(own, 0.99)[1] == 1


def test_the_average_reward_is_the_policys_alone(batch, expert):
    baselines = []
    for ratio in (0.0, 0.75):
        agent = build(average_reward=True, expert_ratio=ratio, initial_alpha=1e-9)  # no entropy beside the reward
        agent.update(batch, expert)
        baselines.append(agent.rho)
    torch.testing.assert_close(*baselines)
    assert (baselines[0] != 0).all()
