"""Evaluation, collection, training and resuming on TorchRL environments."""

import numpy as np
import pytest
import torch

from rlopt.agents import SAC
from rlopt.config import SACConfig
from rlopt.envs import env_spec
from rlopt.envs.torchrl.env import TorchRLEnv
from rlopt.errors import UserError
from rlopt.imitation.recording import record_demonstrations
from rlopt.training import train_online
from rlopt.training.collectors import BehaviorPolicy, collect, make_collector
from rlopt.training.evaluation import Evaluator, evaluate, play, random_policy, select_policy
from rlopt.training.replay import SeedReplayBuffer
from rlopt.transition import Transition

from ..envs.torchrl_tasks import Steps, pendulum, steps
from .shared import TINY, ConstantEvaluator, S, sac, settings


def agent_for(spec, num_seeds=S):
    return SAC(SACConfig(**TINY), *spec.sizes, num_seeds=num_seeds, seed=3)


def starts(episodes):
    return np.array([[episode.observation[0] for episode in of_seed] for of_seed in episodes])


def test_returns_and_recorded_episodes_by_hand():
    # copy j's episode takes 2 + j % 3 steps, cut off after 3; step t brings t (torchrl_tasks.py)
    spec = env_spec(steps, max_episode_steps=3)
    evaluator = Evaluator(spec, num_seeds=S, episodes=4)
    policy = agent_for(spec).policy
    assert evaluator(policy).tolist() == [[3, 6, 6, 3]] * S
    for of_seed in evaluator.record(policy):
        assert [len(episode.reward) for episode in of_seed] == [2, 3, 3, 2]
        for j, episode in enumerate(of_seed):
            length = len(episode.reward)
            assert episode.reward.tolist() == episode.next_observation[:, 0].tolist() == [*range(1, length + 1)]
            assert episode.observation[:, 0].tolist() == [*range(length)]
            assert episode.observation[:, 1].tolist() == [j] * length
            assert episode.terminated.tolist() == [False] * (length - 1) + [j != 2]
            assert episode.truncated.tolist() == [False] * (length - 1) + [length == 3]
            for column in (episode.observation, episode.action, episode.next_observation, episode.reward):
                assert column.dtype == np.float32
    evaluator.close()


@pytest.mark.parametrize("factory", [steps, pendulum])
def test_every_seed_and_every_method_plays_the_same_starts(factory):
    spec = env_spec(factory, max_episode_steps=5)
    evaluator = Evaluator(spec, num_seeds=S, episodes=3)
    first = starts(evaluator.record(agent_for(spec).policy))
    torch.rand(3)
    other = starts(Evaluator(spec, num_seeds=1, episodes=3).record(random_policy(spec.action_size)))
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[0], other[0])
    np.testing.assert_array_equal(first, starts(evaluator.record(agent_for(spec).policy)))
    assert len(np.unique(first[0], axis=0)) == 3


def test_fewer_environments_play_as_many_episodes():
    spec = env_spec(steps, max_episode_steps=5)
    evaluator = Evaluator(spec, num_seeds=S, episodes=5, envs=2)
    of_seeds = evaluator.record(agent_for(spec).policy)
    # copies 0 and 1, three times; the last round has one
    assert [[len(episode.reward) for episode in of_seed] for of_seed in of_seeds] == [[2, 3, 2, 3, 2]] * S
    assert len(np.unique(starts(of_seeds)[0, :, 4])) == 5  # from a seed of its own each round


def test_successes_are_what_the_environment_says():
    spec = env_spec(steps, {"success": True}, 9)  # an episode of three steps is one
    evaluation = play(agent_for(spec).policy, spec, num_seeds=S, episodes=4)
    assert evaluation.successes.tolist() == [[False, True, False, False]] * S
    assert play(agent_for(spec).policy, env_spec(steps, max_episode_steps=9), episodes=4).successes is None


def test_the_selected_policy_is_evaluated_as_its_seed_was():
    spec = env_spec(pendulum, max_episode_steps=20)
    policy = agent_for(spec).policy
    everyone = evaluate(policy, spec, num_seeds=S, episodes=3)
    alone = evaluate(select_policy(policy, 1, S), spec, num_seeds=1, episodes=3)
    np.testing.assert_allclose(alone, everyone[1:], rtol=1e-4)
    assert len(np.unique(everyone)) == S * 3


def test_demonstrations_are_in_the_units_of_the_library():
    spec = env_spec(steps, max_episode_steps=3)
    data = record_demonstrations(lambda observation: torch.full((1, observation.shape[1], 2), 0.5), spec, 4, 4.5)
    assert (data.env_id, data.max_episode_steps, data.episode_lengths.tolist()) == ("steps", 3, [2, 3, 3, 2])
    assert data.action.unique().tolist() == [0.5]
    assert data.next_observation[:, 3].unique().tolist() == [2]  # in the environment's units, from -1 to 3
    assert (data.action_low.tolist(), data.action_high.tolist()) == ([-1, 0], [3, 10])
    assert data.random_return == 4.95  # of 20 copies 7 bring 3, and 13 bring 6


def collector_of(spec, agent, seeds, num_envs=2, **how):
    policy = BehaviorPolicy(agent.actor, len(seeds), seed=0)
    how = {"steps_per_batch": 4, "random_frames": 0, **how}
    return make_collector(spec, policy, seeds=seeds, num_envs=num_envs, **how)


def test_the_replay_buffer_has_the_true_last_observations():
    spec = env_spec(steps, max_episode_steps=3)
    collector = collector_of(spec, agent_for(spec), [1, 2])
    replay = SeedReplayBuffer(1_000, *spec.sizes, num_seeds=2, num_envs=2)
    for _ in range(5):
        replay.extend(collect(collector))
    batch = Transition.unpack(replay.sample(1, 500)[0], spec.observation_size)
    t, n, k = batch.next_observation[..., :3].unbind(-1)
    assert torch.equal(batch.observation[..., 0] + 1, t)
    assert torch.equal(batch.reward, t)
    assert torch.equal(batch.terminated, (t >= 2 + (n + k) % 3).float())
    assert torch.equal(
        batch.observation[..., 1:3], batch.next_observation[..., 1:3]
    )  # no step leads to another episode
    collector.shutdown()


def test_nothing_leaves_the_device_while_experience_is_gathered(monkeypatch):
    """No tensor becomes an array or one of the CPU's, for which a GPU would be waited for; whether episodes ended is asked."""
    spec = env_spec(pendulum, max_episode_steps=3)
    collector = collector_of(spec, agent_for(spec), [1, 2])
    collect(collector)

    def refuse(*args, **kwargs):
        pytest.fail("a tensor left its device")

    asked, to_bool = [], torch.Tensor.__bool__
    for name in ("cpu", "numpy", "__array__", "item"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda self: asked.append(1) or to_bool(self))
    collect(collector)
    monkeypatch.undo()
    collector.shutdown()
    # 4 steps with two ends of both seeds; the batch's observations and rewards are finite
    assert len(asked) <= 4 + 2 * 2 * 4 + 2


def test_training_takes_it_as_a_function():
    spec = env_spec(pendulum, max_episode_steps=10)
    agent = agent_for(spec)
    before = [parameter.clone() for parameter in agent.actor.parameters()]
    history = train_online(agent, spec, settings(eval_episodes=2))
    assert history.x == [40, 60, 80]
    assert np.isfinite(history.returns).all()
    assert any(not torch.equal(a, b) for a, b in zip(before, agent.actor.parameters(), strict=True))


def test_training_on_the_only_environment_goes_on_after_an_evaluation(monkeypatch):
    """The evaluation takes its copies: training then begins new episodes, and learns of no step from one into the other."""
    env = Steps(4)
    spec = env_spec(env, max_episode_steps=5)
    replays = []
    monkeypatch.setattr(
        "rlopt.training.online.SeedReplayBuffer",
        lambda *args, **how: replays.append(SeedReplayBuffer(*args, **how)) or replays[-1],
    )
    history = train_online(agent_for(spec), spec, settings(eval_episodes=3))
    assert history.returns == [[pytest.approx((3 + 6 + 10) / 3)] * S] * 3
    batch = Transition.unpack(replays[0].sample(1, 500)[0], spec.observation_size)
    assert torch.equal(batch.observation[..., 0] + 1, batch.next_observation[..., 0])
    assert torch.equal(batch.observation[..., 1:3], batch.next_observation[..., 1:3])


def test_seeds_take_turns_in_the_only_environment():
    spec = env_spec(Steps(2), max_episode_steps=9)
    evaluator = Evaluator(spec, num_seeds=3, episodes=5)
    of_seeds = evaluator.record(agent_for(spec, 3).policy)
    assert [[len(episode.reward) for episode in of_seed] for of_seed in of_seeds] == [[2, 3, 2, 3, 2]] * 3
    for of_seed in of_seeds[1:]:
        np.testing.assert_array_equal(starts([of_seed]), starts(of_seeds[:1]))
    everyone = agent_for(spec, 3).policy
    for index, of_seed in enumerate(of_seeds):  # each by its own policy
        observation = torch.from_numpy(of_seed[0].observation).expand(3, -1, -1)
        np.testing.assert_allclose(of_seed[0].action, everyone(observation)[index].numpy(), atol=1e-5)


def test_processes_are_for_gymnasium():
    with pytest.raises(UserError, match="--env-workers is for gymnasium's environments: steps steps"):
        train_online(sac(), env_spec(steps, max_episode_steps=5), settings(env_workers=1))


def test_a_resumed_run_begins_new_episodes_and_says_so(tmp_path, caplog, monkeypatch):
    spec, checkpoint, made = env_spec(steps, max_episode_steps=5), tmp_path / "checkpoint.pt", []

    def spy(*args, **kwargs):
        made.append(make_collector(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr("rlopt.training.online.make_collector", spy)
    train_online(agent_for(spec), spec, settings(frames=40), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    assert caplog.text == ""
    history = train_online(agent_for(spec), spec, settings(), evaluator=ConstantEvaluator(), resume=checkpoint)
    assert history.x == [30, 40, 60, 80]
    assert "do not come back to where they were: they begin new episodes" in caplog.text
    first, second = (TorchRLEnv(spec, [3, 4], 2, frames=frames).reset()["observation"] for frames in (0, 40))
    assert not torch.equal(first[:, 4], second[:, 4])  # not the starts that the run has had
