"""Evaluation: deterministic, on the true reward, from the same start states for everyone."""

import itertools
from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlopt.agents import SAC
from rlopt.config import SACConfig
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.training.evaluation import (
    EVALUATION_SEED,
    Evaluator,
    evaluate,
    play,
    random_policy,
    sampling_policy,
    select_policy,
)

S, P = 2, 3


def agent(env_id, num_seeds=S):
    spec = env_spec(env_id)
    config = SACConfig(hidden_sizes=(8,))
    return SAC(config, spec.observation_size, spec.action_size, num_seeds=num_seeds, seed=1)


@pytest.fixture(scope="module")
def pendulum():
    evaluator = Evaluator("Pendulum-v1", num_seeds=S, episodes=P)
    yield evaluator
    evaluator.close()


def raw_return(env_id, policy, seed_index, reset_seed):
    """The slow, obvious loop: one environment, one observation at a time, return of one episode."""
    env = gym.make(env_id)
    observation, _ = env.reset(seed=reset_seed)
    low, high = env.action_space.low, env.action_space.high
    total, over = 0.0, False
    while not over:
        batch = torch.as_tensor(observation, dtype=torch.float32).expand(S, 1, -1)
        action = policy(batch)[seed_index, 0].numpy()
        observation, reward, terminated, truncated, _ = env.step(low + (action + 1) / 2 * (high - low))
        total += reward
        over = terminated or truncated
    return total


def test_two_evaluations_are_equal(pendulum):
    policy = agent("Pendulum-v1").policy
    returns = pendulum(policy)
    assert returns.shape == (S, P)
    assert len(np.unique(returns)) == S * P  # every policy and start state has a return of its own
    np.testing.assert_array_equal(pendulum(policy), returns)
    np.testing.assert_array_equal(evaluate(policy, "Pendulum-v1", num_seeds=S, episodes=P), returns)


# Hopper's episodes end at different times
@pytest.mark.parametrize("env_id", ["Pendulum-v1", "Hopper-v5"])
def test_the_return_is_that_of_a_plain_loop(env_id):
    policy = agent(env_id).policy
    returns = evaluate(policy, env_id, num_seeds=S, episodes=2)
    expected = [[raw_return(env_id, policy, i, EVALUATION_SEED + j) for j in range(2)] for i in range(S)]
    np.testing.assert_allclose(returns, expected, rtol=1e-3)


def test_returns_and_lengths_by_hand(counter_env):
    # first episodes bring 1 + 2 + 3 + 4 and terminate, second ones 1 + ... + 7 and are truncated (conftest.py)
    evaluator = Evaluator(counter_env, num_seeds=S, episodes=P)
    policy = agent(counter_env).policy
    assert evaluator(policy).tolist() == [[10.0] * P] * S
    for one in itertools.chain.from_iterable(evaluator.record(policy)):
        assert one.reward.tolist() == [1, 2, 3, 4, 5, 6, 7]
        assert one.undiscounted_return == 28
        assert one.terminated.tolist() == [False] * 7
        assert one.truncated.tolist() == [False] * 6 + [True]
        assert one.observation[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert one.next_observation[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]
    for one in itertools.chain.from_iterable(evaluator.record(policy)):
        assert one.reward.tolist() == [1, 2, 3, 4]
        assert one.terminated.tolist() == [False] * 3 + [True]
        assert one.truncated.tolist() == [False] * 4
    evaluator.close()


def test_environments_end_on_their_own(counter_env):
    evaluator = Evaluator(counter_env, num_seeds=S, episodes=2)
    evaluator.copies.envs[1].reset()  # one is an episode ahead: it goes on to the time limit when the others terminate
    assert evaluator(agent(counter_env).policy).tolist() == [[10, 28], [10, 10]]
    evaluator.close()


def test_an_endless_episode_is_an_error(counter_env, monkeypatch):
    monkeypatch.setattr("rlopt.training.evaluation.LONGEST_EPISODE", 3)  # of four
    with pytest.raises(UserError, match=f"{counter_env} did not end within 3 steps: .*max_episode_steps"):
        Evaluator(counter_env, num_seeds=S, episodes=2)(agent(counter_env).policy)


REACH = "tests.envs.reach:rlopt-test/Reach-v0"
"""Episodes of five steps; at the steps `hits`, those succeed whose action is positive (tests/envs/reach.py)."""


def first_seed_succeeds(observation):
    """Positive actions for seed 0, negative ones for seed 1."""
    return torch.tensor([1.0, -1.0])[:, None, None].expand(S, observation.shape[1], 1)


@pytest.mark.parametrize(
    ("told", "rates"),
    [
        ({"key": "is_success", "hits": (5,)}, [1, 0]),
        ({"key": "is_success", "hits": (3,)}, [0, 0]),  # reached, and lost
        ({"key": "success", "hits": (3,)}, [1, 0]),  # once is enough
        ({"key": "success", "hits": ()}, [0, 0]),
        ({"key": "both", "hits": (5,)}, [1, 0]),
        ({"key": "both", "hits": (3,)}, [0, 0]),
        ({"key": "is_success", "when": "at the end"}, [1, 0]),
        ({"key": "success", "when": "if true", "hits": (2,)}, [1, 0]),
        ({"key": "another"}, None),
    ],
)
@pytest.mark.parametrize("envs", [None, 2])
def test_successes_by_hand(told, rates, envs):
    evaluation = play(first_seed_succeeds, env_spec(REACH, told), num_seeds=S, episodes=P, envs=envs)
    assert evaluation.returns.tolist() == [[-5.0] * P] * S
    if rates is None:
        assert evaluation.successes is evaluation.success_rates is None
    else:
        assert evaluation.successes.dtype == np.bool_
        assert evaluation.successes.tolist() == [[rate == 1] * P for rate in rates]
        assert evaluation.success_rates.tolist() == rates


@pytest.mark.parametrize("envs", [None, 2])
def test_processes_that_step_change_nothing(envs):
    """Neither returns nor successes, in which `info` takes part."""
    spec = env_spec(REACH, {"key": "success", "hits": (3,)})
    with closing(Evaluator(spec, num_seeds=S, episodes=P, envs=envs, env_workers=4)) as evaluator:
        assert len(evaluator.copies.processes) == 4
        evaluation = evaluator.play(first_seed_succeeds)
    assert evaluation.returns.tolist() == [[-5.0] * P] * S
    assert evaluation.successes.tolist() == [[True] * P, [False] * P]


def test_successes_are_of_the_episodes_that_are_not_over(counter_env, monkeypatch):
    evaluator = Evaluator(counter_env, num_seeds=S, episodes=2)
    evaluator.copies.envs[1].reset()  # it goes on for seven steps, the others for four
    step = type(evaluator.copies.envs[0].unwrapped).step
    told = {"is_success": False}
    monkeypatch.setattr(
        type(evaluator.copies.envs[0].unwrapped),
        "step",
        lambda self, action: (*step(self, action)[:4], told | {"is_success": self.t == 7}),
    )
    assert evaluator.play(agent(counter_env).policy).successes.tolist() == [[False, True], [False, False]]
    evaluator.close()


def test_once_a_success_was_told_an_episode_without_one_is_none():
    evaluator = Evaluator(env_spec(REACH, {"when": "if true"}), num_seeds=S, episodes=1)
    assert evaluator.play(lambda observation: -first_seed_succeeds(observation).abs()).successes is None
    assert evaluator.play(first_seed_succeeds).successes.tolist() == [[True], [False]]
    assert (
        evaluator.play(lambda observation: -first_seed_succeeds(observation).abs()).successes.tolist() == [[False]] * S
    )
    evaluator.close()


def test_everyone_starts_from_the_same_states(pendulum):
    by_seed = pendulum.record(agent("Pendulum-v1").policy)
    starts = np.array([[episode.observation[0] for episode in episodes] for episodes in by_seed])
    np.testing.assert_array_equal(starts[0], starts[1])  # both seeds
    other = np.array([[e.observation[0] for e in episodes] for episodes in pendulum.record(random_policy(1))])
    np.testing.assert_array_equal(starts, other)  # another policy
    assert len(np.unique(starts[0], axis=0)) == P
    for j in range(P):  # and they are those of the documented reset seeds
        expected, _ = gym.make("Pendulum-v1").reset(seed=EVALUATION_SEED + j)
        np.testing.assert_array_equal(starts[0, j], expected)


def test_recorded_episodes_are_whole_and_chained(pendulum):
    policy = agent("Pendulum-v1").policy
    by_seed = pendulum.record(policy)
    returns = pendulum(policy)
    for i, episodes in enumerate(by_seed):
        assert len(episodes) == P
        for j, one in enumerate(episodes):
            assert one.observation.shape == one.next_observation.shape == (200, 3)
            assert one.action.shape == (200, 1)
            assert one.reward.shape == one.terminated.shape == one.truncated.shape == (200,)
            np.testing.assert_array_equal(one.next_observation[:-1], one.observation[1:])
            assert (one.next_observation != one.observation).any(1).all()
            assert one.truncated.tolist() == [False] * 199 + [True]
            assert not one.terminated.any()
            assert one.undiscounted_return == pytest.approx(returns[i, j], rel=1e-5)
            # the actions are the policy's, in its own units
            observation = torch.from_numpy(one.observation).expand(S, -1, -1)
            np.testing.assert_allclose(one.action, policy(observation)[i].numpy(), atol=1e-5)
            for column in (one.observation, one.action, one.next_observation, one.reward):
                assert column.dtype == np.float32
            assert one.terminated.dtype == one.truncated.dtype == np.bool_


def test_a_selected_policy_acts_as_its_seed_does():
    policy = agent("Pendulum-v1").policy
    observation = torch.randn(1, 5, 3)
    everyone = policy(observation.expand(S, -1, -1))
    for index in range(S):
        alone = select_policy(policy, index, S)(observation)
        assert alone.shape == (1, 5, 1)
        assert torch.equal(alone, everyone[index : index + 1])


def test_the_selected_policy_is_evaluated_as_its_seed_was(pendulum):
    policy = agent("Pendulum-v1").policy
    alone = evaluate(select_policy(policy, 1, S), "Pendulum-v1", episodes=P)
    np.testing.assert_allclose(alone, pendulum(policy)[1:], rtol=1e-4)


def test_the_random_policy_is_uniform_and_reproducible():
    def draw(seed):
        return random_policy(2, seed)(torch.zeros(S, 500, 3))

    actions = draw(0)
    assert actions.shape == (S, 500, 2)
    assert actions.abs().max() <= 1
    # 2,000 numbers: within 4 standard errors of a uniform distribution's moments
    assert actions.mean().item() == pytest.approx(0, abs=0.05)
    assert actions.var().item() == pytest.approx(1 / 3, abs=0.03)
    assert torch.equal(actions, draw(0))
    assert not torch.equal(actions, draw(1))


def test_the_sampling_policy_samples_reproducibly():
    policy = agent("Pendulum-v1").policy
    observation = torch.zeros(S, 500, 3)
    actions = sampling_policy(policy, seed=0)(observation)
    assert torch.equal(actions, sampling_policy(policy, seed=0)(observation))
    assert not torch.equal(actions, sampling_policy(policy, seed=1)(observation))
    # before the tanh: normal around the mode with the policy's own standard deviation
    mean, log_std = policy.actor(observation)
    z = (torch.atanh(actions.double()) - mean) / log_std.exp()
    assert z.mean().item() == pytest.approx(0, abs=0.12)
    assert z.std().item() == pytest.approx(1, abs=0.1)
