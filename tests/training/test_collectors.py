"""Experience as TorchRL's collector delivers it, and the device it is meant for."""

import itertools

import pytest
import torch
from tensordict import TensorDict

from rlopt.agents import SAC
from rlopt.config import SACConfig
from rlopt.envs import as_seeds, env_spec
from rlopt.training.collectors import BehaviorPolicy, make_collector
from rlopt.training.replay import SeedReplayBuffer

SEEDS, E, T = [5, 6, 7], 2, 4


def build(env_id):
    spec = env_spec(env_id)
    config = SACConfig(hidden_sizes=(8,))
    return SAC(config, spec.observation_size, spec.action_size, num_seeds=len(SEEDS), seed=SEEDS[0])


def collect(env_id, batches, agent=None, random_frames=0, seeds=SEEDS, between=lambda: None, env_workers=0):
    """The first batches of a collector, `between` called after each."""
    agent = agent or build(env_id)
    collector = make_collector(
        env_spec(env_id),
        BehaviorPolicy(agent.actor, len(seeds), seeds[0]),
        seeds=seeds,
        num_envs=E,
        steps_per_batch=T,
        random_frames=random_frames,
        env_workers=env_workers,
    )
    rollouts = []
    for rollout in itertools.islice(collector, batches):
        rollouts.append(rollout)
        between()
    collector.shutdown()
    return rollouts


def act_always(agent, action):
    """Make the mean of every policy a saturated +-1 (`action`)."""
    for parameter in agent.actor.mlp.layers[-1].parameters():
        parameter.data.zero_()
    agent.actor.mlp.layers[-1].bias.data[..., : agent.action_size] = 100.0 * action


def test_batches_have_the_shape_of_seeds_environments_and_steps(counter_env):
    for rollout in collect(counter_env, 3):
        assert rollout.shape == (len(SEEDS) * E, T)
        assert rollout["observation"].shape == (len(SEEDS) * E, T, 3)
        assert rollout["action"].shape == (len(SEEDS) * E, T, 2)
        assert rollout["next", "reward"].shape == (len(SEEDS) * E, T, 1)


def test_the_buffer_holds_as_many_transitions_as_frames_collected(counter_env):
    buffer = SeedReplayBuffer(1_000, 3, 2, num_seeds=len(SEEDS), num_envs=E)
    for count, rollout in enumerate(collect(counter_env, 3), start=1):
        buffer.extend(rollout)
        assert len(buffer) == count * E * T


def test_steps_follow_one_another_across_batches(counter_env):
    # rewards 1, 2, 3, 4 and termination, then 1 ... 7 and truncation, in every environment (conftest.py)
    data = torch.cat(collect(counter_env, 4), dim=1)
    assert data["next", "reward"].squeeze(-1).tolist() == [[*range(1, 5), *range(1, 8), *range(1, 5), 1]] * 6
    done = data["next", "done"].squeeze(-1)
    assert done.nonzero()[:, 1].tolist() == [3, 10, 14] * 6
    same = (data["next", "observation"][:, :-1] == data["observation"][:, 1:]).all(-1)
    assert torch.equal(same, ~done[:, :-1])  # and at an end the next episode's first observation follows
    ended = data["next", "observation"][done].view(6, 3, 3)
    assert ended[..., :2].tolist() == [[[4, 0], [7, 1], [4, 2]]] * 6  # the true last ones


def test_batches_do_not_share_memory(counter_env):
    first, second = collect(counter_env, 2)
    assert first["observation"][0, 0].tolist() == [0, 0, 0]  # still, after the second
    assert second["observation"][0, 0, :2].tolist() == [0, 1]


def test_what_an_update_changes_is_what_collects(counter_env):
    agent = build(counter_env)
    act_always(agent, 1.0)
    first, second = collect(counter_env, 2, agent, between=lambda: act_always(agent, -1.0))
    assert torch.equal(first["action"], torch.ones(6, T, 2))
    assert torch.equal(second["action"], -torch.ones(6, T, 2))


def test_each_seed_is_driven_by_its_own_policy(counter_env):
    agent = build(counter_env)
    act_always(agent, torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1))
    (rollout,) = collect(counter_env, 1, agent)
    assert as_seeds(rollout["action"], 3).mean((1, 2, 3)).tolist() == [1, -1, 1]


def test_the_policy_acts_at_random(counter_env):
    (rollout,) = collect(counter_env, 1)
    assert len(rollout["action"].flatten().unique()) == 6 * T * 2
    assert rollout["action"].abs().max() <= 1


def test_the_warm_up_is_uniform_and_whole_batches_long(counter_env):
    agent = build(counter_env)
    act_always(agent, 1.0)
    torch.manual_seed(0)
    # 9 frames per seed are two batches of 8
    *random, policy = collect(counter_env, 3, agent, random_frames=9)
    actions = torch.cat([rollout["action"] for rollout in random]).flatten()
    assert actions.min() >= -1
    assert actions.max() <= 1
    # within 3.3 standard errors of a uniform distribution's moments, at 96 numbers
    assert actions.mean().item() == pytest.approx(0, abs=0.2)
    assert actions.var().item() == pytest.approx(1 / 3, abs=0.1)
    assert torch.equal(policy["action"], torch.ones_like(policy["action"]))


def test_collecting_is_reproducible():
    def run(seeds):
        torch.manual_seed(0)
        return collect("Pendulum-v1", 2, build("Pendulum-v1"), random_frames=8, seeds=seeds)[1]

    first, again, other = run(SEEDS), run(SEEDS), run([8, 9, 10])
    assert all(torch.equal(first[key], again[key]) for key in ("observation", "action"))
    assert not torch.equal(first["observation"], other["observation"])


def test_processes_that_step_change_no_number():
    def run(env_workers):
        torch.manual_seed(0)
        return torch.cat(collect("Pendulum-v1", 3, random_frames=8, env_workers=env_workers), 1)

    assert (run(2) == run(0)).all()


def test_a_policy_of_another_device_acts_as_it_was_at_the_last_refresh(counter_env, monkeypatch):
    # what decides is whether the parameters are on the CPU; here they only say that they are not
    agent = build(counter_env)
    monkeypatch.setattr(torch.nn.Parameter, "is_cpu", False, raising=False)
    behavior = BehaviorPolicy(agent.actor, len(SEEDS), seed=0)
    step = TensorDict({"observation": torch.zeros(6, 3)}, batch_size=[6])
    act_always(agent, 1.0)
    behavior.refresh()
    act_always(agent, -1.0)
    assert torch.equal(behavior(step)["action"], torch.ones(6, 2))
    behavior.refresh()
    assert torch.equal(behavior(step)["action"], -torch.ones(6, 2))
