"""The online loop: what it counts, what it keeps and logs, and how it leaves the processor."""

import math

import numpy as np
import pytest
import torch

import rlopt.training
from rlopt.agents import IPMD, SAC
from rlopt.config import IPMDConfig, SACConfig
from rlopt.devices import arithmetic_set_up
from rlopt.errors import UserError
from rlopt.evaluation import BestPolicies, evaluate
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.logs.files import load_safely
from rlopt.training import metrics_row, train_online

from .shared import TINY, ConstantEvaluator, RecordingLog, S, sac, settings, spy_on_updates


class ScriptedEvaluator:
    """Gives seed 0 the returns 5, 3, 4 and seed 1 the returns 1, 2, 1; keeps the actors' parameters of every call."""

    def __init__(self, interrupt_at=None):
        self.actors, self.interrupt_at = [], interrupt_at

    def __call__(self, policy):
        if len(self.actors) == self.interrupt_at:
            raise KeyboardInterrupt
        self.actors.append([parameter.clone() for parameter in policy.actor.parameters()])
        return np.array([[5.0, 3.0, 4.0], [1.0, 2.0, 1.0]])[:, len(self.actors) - 1 : len(self.actors)]


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


def ipmd(**changes):
    agent = IPMD(IPMDConfig(**TINY, expert_batch_size=8, **changes), 3, 2, num_seeds=S)
    agent.set_expert_buffer(expert_buffer())
    return agent


@pytest.mark.parametrize(
    ("anneal", "shares"),
    [
        (0.0, [1, 1, 1, 1, 1, 1, 1]),
        # the last 40 of 80 frames; an update goes with what was left when its batch began: 10, 20, 30, ... frames
        (0.5, [1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (1.0, [7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
    ],
)
@pytest.mark.parametrize("build", [sac, ipmd])
def test_learning_rates_fall_to_zero_over_the_last_frames(counter_env, anneal, shares, build):
    agent, seen = build(), []

    def spy(_, info):
        seen.append([optimizer.learning_rate.item() for optimizer in agent.optimizers])
        return info

    spy_on_updates(agent, spy)
    train_online(agent, counter_env, settings(anneal=anneal, updates_per_frame=0.1), evaluator=ConstantEvaluator())
    rates = [optimizer.full_learning_rate for optimizer in agent.optimizers]
    assert len(rates) == (2 if build is sac else 3)
    np.testing.assert_allclose(seen, np.outer(shares, rates), rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "of_the_last"),
    [
        (lambda: ipmd(recent_share=1.0), True),
        (lambda: ipmd(recent_share=1.0, freeze_reward=True), False),
        (lambda: ipmd(recent_share=1.0, use_environment_reward=True), False),
        (ipmd, False),
        (sac, False),
    ],
    ids=["recent share", "frozen reward", "environment's reward", "default", "SAC"],
)
def test_a_learned_reward_may_ask_for_recent_data(counter_env, monkeypatch, build, of_the_last):
    monkeypatch.setattr("rlopt.replay.RECENT_FRAMES", 10)  # one collector batch
    agent = build()
    batches = spy_on_updates(agent)
    train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    # episodes of 4 and 7 steps in turn: the 40 steps of a copy end in episode 7
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
    assert len(state["replay"]["elements"]) == 80


def test_returns_are_those_of_the_trained_policy():
    agent = sac(action_size=1)
    config = settings(frames=200, warmup_frames=100, eval_points=1, eval_episodes=2)
    history = train_online(agent, "Pendulum-v1", config)
    assert history.x == [200]
    expected = evaluate(agent.policy, "Pendulum-v1", num_seeds=S, episodes=2).mean(1)
    np.testing.assert_allclose(history.returns[0], expected, rtol=1e-5)


def test_the_actor_gathers_experience_and_its_mean_is_evaluated(counter_env, monkeypatch):
    agent, evaluated, acting = sac(), [], []
    behavior = rlopt.training.BehaviorPolicy
    monkeypatch.setattr(
        "rlopt.training.BehaviorPolicy", lambda actor, *args: acting.append(actor) or behavior(actor, *args)
    )
    train_online(
        agent, counter_env, settings(), evaluator=lambda policy: evaluated.append(policy.actor) or np.zeros((S, 1))
    )
    assert acting == [agent.actor]
    assert set(evaluated) == {agent.mean_actor}


def test_training_is_reproducible(counter_env, assert_same_state):
    agents = [sac(), sac()]
    for agent in agents:
        torch.seed()  # whatever happened before
        train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert_same_state(agents[0].state_dict(), agents[1].state_dict())


def expert_buffer(observation_size=3, action_size=2):
    generator = torch.Generator().manual_seed(0)
    observation = torch.randn(50, observation_size, generator=generator)
    action = torch.rand(50, action_size, generator=generator) * 2 - 1
    return ExpertReplayBuffer({"observation": observation, "action": action, "next_observation": observation + 1})


def test_ipmd_learns_a_reward_from_the_expert(counter_env):
    agent = IPMD(IPMDConfig(**TINY, expert_batch_size=8), 3, 2, num_seeds=S)
    with pytest.raises(UserError, match="set_expert_buffer"):
        train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    agent.set_expert_buffer(expert_buffer())
    before = agent.reward_net.mlp.layers[0].weight.clone()
    history = train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert (agent.reward_net.mlp.layers[0].weight != before).flatten(1).any(1).all()
    assert {"reward_policy", "reward_expert", "reward_loss", "gradient_penalty"} < set(history.losses)


def test_the_log_gets_progress_and_a_row_per_evaluation(counter_env):
    log = RecordingLog()
    train_online(sac(), counter_env, settings(frames=75), evaluator=ConstantEvaluator(), log=log)
    assert sorted(set(log.counts)) == [10, 20, 30, 40, 50, 60, 70, 75]  # never more than the total
    assert [values for values in log.values if values] == [{"return": 5.5}, {"return": 11.0}, {"return": 16.5}]
    assert [row["frames"] for row in log.rows] == [40, 60, 80]
    assert [row["return_seed4"] for row in log.rows] == [10, 20, 30]
    assert all(math.isfinite(value) for row in log.rows for value in row.values())


def test_metrics_row_by_hand():
    returns = np.array([[1.0, 3.0], [10.0, 30.0]])
    row = metrics_row("frames", 50, 0.0, returns, {"alpha": torch.tensor([0.25, 0.75])}, [7, 8])
    assert row.pop("wall_seconds") > 0
    assert row.pop("frames_per_second") > 0
    assert row == {
        **{"frames": 50, "return_mean": 11, "return_seed7": 2, "return_seed8": 20},
        **{"alpha_mean": 0.5, "alpha_seed7": 0.25, "alpha_seed8": 0.75},
    }
    without = metrics_row("epochs", 1, 0.0, None, {}, [7])
    assert math.isnan(without["return_mean"])
    assert math.isnan(without["return_seed7"])


def test_training_gives_the_processor_back(counter_env):
    seen = []
    agent = sac()
    spy_on_updates(agent, lambda number, info: seen.append(np.float32(1e-40) * np.float32(1) == 0) or info)
    threads = torch.get_num_threads()
    train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert all(seen)  # denormals count as zero while it trains
    assert np.float32(1e-40) * np.float32(1) != 0
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("precision", "allowed"), [("tf32", True), ("float32", False)])
def test_tf32_products_are_allowed_while_an_agent_that_asks_for_them_trains(counter_env, precision, allowed):
    seen = []
    config = SACConfig(hidden_sizes=(8,), batch_size=10, matmul_precision=precision)
    agent = SAC(config, 3, 2, num_seeds=S)
    spy_on_updates(agent, lambda number, info: seen.append(torch.backends.cuda.matmul.allow_tf32) or info)
    train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator())
    assert set(seen) == {allowed}
    assert not torch.backends.cuda.matmul.allow_tf32


def test_beside_a_gpu_the_processor_has_one_thread(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with arithmetic_set_up(10, 256, 256, "cuda"):
        assert torch.get_num_threads() == 1


def test_what_fails_before_training_leaves_no_processes_behind(counter_env, monkeypatch):
    # processes that step environments keep a program from ending, and only the loop shuts them down
    started = []
    monkeypatch.setattr("rlopt.training.make_collector", lambda *args, **settings: started.append(settings))
    log = type("Log", (), {"info": lambda self, text: 1 / 0})()
    with pytest.raises(ZeroDivisionError):
        train_online(sac(), counter_env, settings(compile=True), evaluator=ConstantEvaluator(), log=log)
    assert started == []
