"""The online loop: what it counts, what it keeps and logs, and where its demonstrations come from."""

import math
import signal

import numpy as np
import pytest
import torch

from rlopt.agents import IPMD, EnvironmentReward, FrozenReward
from rlopt.config import IPMDConfig
from rlopt.envs import env_spec
from rlopt.errors import UserError
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.logs.files import load_safely
from rlopt.training import train_online
from rlopt.training.collectors import BehaviorPolicy
from rlopt.training.evaluation import BestPolicies, Evaluation, evaluate

from .shared import TINY, ConstantEvaluator, RecordingLog, S, sac, settings, spy_on_updates


class ScriptedEvaluator:
    """Gives seed 0 the returns 5, 3, 4 and seed 1 the returns 1, 2, 1; keeps the actors' parameters of every call."""

    def __init__(self, interrupt_at=None):
        self.actors, self.interrupt_at = [], interrupt_at

    def play(self, policy):
        if len(self.actors) == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        self.actors.append([parameter.clone() for parameter in policy.actor.parameters()])
        return Evaluation(np.array([[5.0, 3.0, 4.0], [1.0, 2.0, 1.0]])[:, len(self.actors) - 1 : len(self.actors)])


def test_the_best_policies_are_kept_seed_by_seed(counter_env):
    agent, evaluator = sac(), ScriptedEvaluator()
    best = BestPolicies(agent.policy, S)
    train_online(agent, counter_env, settings(), evaluator=evaluator, best=best)
    assert best.returns.tolist() == [5, 2]
    first, second, _ = evaluator.actors
    for own, a, b in zip(best.actor.parameters(), first, second, strict=True):
        assert torch.equal(own[0], a[0])
        assert torch.equal(own[1], b[1])


def test_the_best_policies_survive_an_interruption(counter_env, tmp_path):
    checkpoint, evaluator = tmp_path / "checkpoint.pt", ScriptedEvaluator(interrupt_at=1)
    with pytest.raises(KeyboardInterrupt):
        train_online(
            (agent := sac()),
            *(counter_env, settings()),
            evaluator=evaluator,
            best=BestPolicies(agent.policy, S),
            checkpoint=checkpoint,
        )
    evaluator.interrupt_at = None
    agent = sac()
    best = BestPolicies(agent.policy, S)
    train_online(agent, counter_env, settings(), evaluator=evaluator, best=best, resume=checkpoint)
    assert best.returns.tolist() == [5, 2]
    assert torch.equal(next(best.actor.parameters())[0], evaluator.actors[0][0][0])


def test_history_has_every_point_after_the_warm_up(counter_env):
    history = train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator())
    assert history.unit == "frames"
    assert history.x == [40, 60, 80]  # at 20 frames there is nothing to evaluate yet
    assert history.returns == [[1, 10], [2, 20], [3, 30]]
    assert set(history.losses) == {"critic_loss", "q_mean", "policy_loss", "alpha", "entropy"}
    assert all(np.shape(values) == (3, S) for values in history.losses.values())
    assert history.wall_seconds > 0


@pytest.mark.parametrize(
    ("updates_per_frame", "total", "evaluated"),
    # from 20 frames on there are 7 batches of 10 frames; of 2.5 updates a batch the halves are carried on
    [(0.5, 35, [40, 60, 80]), (1.0, 70, [40, 60, 80]), (0.25, 17, [40, 60, 80]), (0.02, 1, [60, 80])],
)
def test_the_number_of_updates(counter_env, updates_per_frame, total, evaluated):
    agent = sac()
    batches = spy_on_updates(agent)
    history = train_online(
        agent, counter_env, settings(updates_per_frame=updates_per_frame), evaluator=ConstantEvaluator()
    )
    assert len(batches) == total
    assert all(batch.observation.shape == (S, 8, 3) for batch in batches)
    assert history.x == evaluated  # never before the first update


def ipmd(given=True, **changes):
    agent = IPMD(IPMDConfig(**TINY, expert_batch_size=8, **changes), 3, 2, num_seeds=S)
    if given:
        agent.set_expert_buffer(expert_buffer())
    return agent


@pytest.mark.parametrize(
    ("lr_decay", "shares"),
    [
        (0.0, [1, 1, 1, 1, 1, 1, 1]),
        # the last 40 of 80 frames; an update goes with what was left when its batch began: 10, 20, 30, ... frames
        (0.5, [1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (1.0, [7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
    ],
)
@pytest.mark.parametrize("build", [sac, ipmd])
def test_learning_rates_fall_to_zero_over_the_last_frames(counter_env, lr_decay, shares, build):
    agent, seen = build(), []

    def spy(_, info):
        seen.append([optimizer.learning_rate.item() for optimizer in agent.optimizers])
        return info

    spy_on_updates(agent, spy)
    train_online(agent, counter_env, settings(lr_decay=lr_decay, updates_per_frame=0.1), evaluator=ConstantEvaluator())
    rates = [optimizer.full_learning_rate for optimizer in agent.optimizers]
    assert len(rates) == (2 if build is sac else 3)
    np.testing.assert_allclose(seen, np.outer(shares, rates), rtol=1e-6)


def with_reward(kind, **changes):
    """IPMD on a frozen reward or on the environment's."""
    config = IPMDConfig(**TINY, expert_batch_size=8, **changes)
    reward = EnvironmentReward() if kind == "environment" else FrozenReward(config, 3, 2, ipmd().reward.state_dict())
    return IPMD(config, 3, 2, num_seeds=S, reward=reward)


@pytest.mark.parametrize(
    ("build", "of_the_last"),
    [
        (lambda: ipmd(recent_ratio=1.0), True),
        (lambda: with_reward("frozen", recent_ratio=1.0), True),
        (lambda: with_reward("environment", recent_ratio=1.0), True),
        (lambda: sac(recent_ratio=1.0), True),
        (ipmd, False),
        (lambda: with_reward("frozen"), False),
        (lambda: with_reward("environment"), False),
        (sac, False),
    ],
    ids=[f"{name}{share}" for share in (", recent", "") for name in ("learned", "frozen", "environment", "SAC")],
)
def test_any_agent_may_ask_for_recent_data(counter_env, monkeypatch, build, of_the_last):
    monkeypatch.setattr("rlopt.training.replay.RECENT_FRAMES", 10)  # one collector batch
    agent = build()
    batches = spy_on_updates(agent)
    train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    # episodes of 4 and 7 steps in turn: the 40 steps of an environment end in episode 7
    episodes = torch.stack([batch.observation[..., 1] for batch in batches[-5:]])
    assert (episodes.min() >= 6) == of_the_last


def test_frames_are_rounded_up_to_whole_batches(counter_env, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    history = train_online(
        sac(), counter_env, settings(frames=73), evaluator=ConstantEvaluator(), checkpoint=checkpoint
    )
    assert history.x == [40, 60, 80]  # the first counts at or behind 37, 55 and 73
    state = load_safely(checkpoint, what="Checkpoint")
    assert state["frames"] == 80
    assert state["replay"]["count"] == 80


def test_returns_are_those_of_the_trained_policy():
    agent = sac(action_size=1)
    config = settings(frames=200, warmup_frames=100, eval_points=1, eval_episodes=2)
    history = train_online(agent, "Pendulum-v1", config)
    assert history.x == [200]
    expected = evaluate(agent.policy, "Pendulum-v1", num_seeds=S, episodes=2).mean(1)
    np.testing.assert_allclose(history.returns[0], expected, rtol=1e-5)


def test_the_actor_gathers_experience_and_its_average_is_evaluated(counter_env, monkeypatch):
    agent, evaluated, acting = sac(), [], []
    monkeypatch.setattr(
        "rlopt.training.online.BehaviorPolicy",
        lambda actor, *args: acting.append(actor) or BehaviorPolicy(actor, *args),
    )

    class Spy:
        def play(self, policy):
            evaluated.append(policy.actor)
            return Evaluation(np.zeros((S, 1)))

    train_online(agent, counter_env, settings(), evaluator=Spy())
    assert acting == [agent.actor]
    assert set(evaluated) == {agent.ema_actor}


def test_training_is_reproducible(counter_env, assert_same_state):
    agents = [sac(), sac()]
    for agent in agents:
        torch.seed()  # whatever happened before
        train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


SIZES = {"observation": 3, "action": 2, "next_observation": 3}


def expert_buffer(observation_size=3, action_size=2):
    generator = torch.Generator().manual_seed(0)
    observation = torch.randn(50, observation_size, generator=generator)
    action = torch.rand(50, action_size, generator=generator) * 2 - 1
    return ExpertReplayBuffer({"observation": observation, "action": action, "next_observation": observation + 1})


def test_an_agent_that_needs_demonstrations_is_refused_without(counter_env):
    with pytest.raises(UserError) as refusal:
        train_online(ipmd(given=False), counter_env, settings(), evaluator=ConstantEvaluator())
    assert str(refusal.value) == "IPMD needs demonstrations: train_online(agent, env, config, expert)."


@pytest.mark.parametrize(
    ("expert", "complaint"),
    [({"observation": torch.zeros(5, 3)}, "wrap the dict in an ExpertReplayBuffer"), (4, "of different environments")],
)
def test_demonstrations_that_do_not_fit_are_refused(counter_env, expert, complaint):
    expert = expert_buffer(observation_size=expert) if isinstance(expert, int) else expert
    for agent in (ipmd(given=False), sac()):
        with pytest.raises(UserError, match=complaint):
            train_online(agent, counter_env, settings(), expert, evaluator=ConstantEvaluator())


def test_demonstrations_may_be_given_to_the_loop_or_to_the_agent(counter_env, assert_same_state):
    to_loop, to_agent, both = ipmd(given=False), ipmd(), ipmd(given=False)
    other = ExpertReplayBuffer({name: torch.rand(9, size) for name, size in SIZES.items()})
    both.set_expert_buffer(other)  # the loop's come first
    histories = [
        train_online(agent, counter_env, settings(), expert, evaluator=ConstantEvaluator())
        for agent, expert in ((to_loop, expert_buffer()), (to_agent, None), (both, expert_buffer()))
    ]
    for agent, history in zip((to_agent, both), histories[1:], strict=True):
        assert_same_state(to_loop.state_dict(), agent.state_dict())
        assert history.losses == histories[0].losses


def test_an_agent_that_needs_no_demonstrations_draws_none(counter_env, assert_same_state):
    with_them, without, expert = sac(), sac(), expert_buffer()
    before = expert.generator.get_state()
    train_online(with_them, counter_env, settings(), expert, evaluator=ConstantEvaluator())
    train_online(without, counter_env, settings(), evaluator=ConstantEvaluator())
    assert_same_state(with_them.state_dict(), without.state_dict())
    assert torch.equal(expert.generator.get_state(), before)


@pytest.mark.parametrize("evaluator", [ConstantEvaluator, lambda: None], ids=["given", "the loop's own"])
def test_an_environment_is_given_by_its_id_or_as_a_spec(counter_env, assert_same_state, evaluator):
    by_id, by_spec = sac(), sac()
    histories = [
        train_online(agent, env, settings(eval_episodes=2), evaluator=evaluator())
        for agent, env in ((by_id, counter_env), (by_spec, env_spec(counter_env)))
    ]
    assert_same_state(by_id.state_dict(), by_spec.state_dict())
    assert histories[0].returns == histories[1].returns
    assert histories[0].losses == histories[1].losses


def test_ipmd_learns_a_reward_from_the_expert(counter_env):
    agent = ipmd()
    before = agent.reward.net.mlp.layers[0].weight.clone()
    history = train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert (agent.reward.net.mlp.layers[0].weight != before).flatten(1).any(1).all()
    assert {"reward_policy", "reward_expert", "reward_loss", "gradient_penalty"} < set(history.losses)


def test_the_log_gets_progress_and_a_row_per_evaluation(counter_env):
    log = RecordingLog()
    train_online(sac(), counter_env, settings(frames=75), evaluator=ConstantEvaluator(), log=log)
    assert sorted(set(log.counts)) == [10, 20, 30, 40, 50, 60, 70, 75]  # never more than the total
    assert [values for values in log.values if values] == [{"return": 5.5}, {"return": 11.0}, {"return": 16.5}]
    assert [row["frames"] for row in log.rows] == [40, 60, 80]
    assert [row["return_seed4"] for row in log.rows] == [10, 20, 30]
    assert all(math.isfinite(value) for row in log.rows for value in row.values())


def test_what_fails_before_training_leaves_no_processes_behind(counter_env, monkeypatch):
    # processes that step environments keep a program from ending, and only the loop shuts them down
    started = []
    monkeypatch.setattr("rlopt.training.online.make_collector", lambda *args, **settings: started.append(settings))
    log = type("Log", (), {"info": lambda self, text: 1 / 0})()
    with pytest.raises(ZeroDivisionError):
        train_online(sac(), counter_env, settings(compile=True), evaluator=ConstantEvaluator(), log=log)
    assert started == []
