"""The loops: what they count, where they stop, how they go on, and that behaviour cloning recovers a known policy."""

import math

import numpy as np
import pytest
import torch

import rlopt.training
from rlopt.agents import BC, IPMD, SAC
from rlopt.checkpoint import load_safely
from rlopt.collectors import make_collector
from rlopt.config import BCConfig, IPMDConfig, SACConfig, TrainingConfig
from rlopt.devices import arithmetic_set_up
from rlopt.errors import UserError
from rlopt.evaluation import BestPolicies, evaluate
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.training import NotFiniteError, check_finite, metrics_row, train_offline, train_online

S = 2
TINY = {"hidden_sizes": (8,), "batch_size": 8}


def settings(**changes):
    """Batches of 10 frames per seed, the first two of them random; 5 updates a batch, from the second one on."""
    defaults = {"frames": 80, "num_seeds": S, "seed": 3, "num_envs": 2, "steps_per_batch": 5, "updates_per_frame": 0.5}
    return TrainingConfig(**{**defaults, "warmup_frames": 20, "eval_points": 4, "checkpoint_points": 4, **changes})


def sac(num_seeds=S, observation_size=3, action_size=2, **changes):
    return SAC(SACConfig(**{**TINY, **changes}), observation_size, action_size, num_seeds=num_seeds, seed=3)


def spy_on_updates(agent, report=lambda number, info: info):
    """A list of the batches that the agent is updated with; `report(number of the update, info)` changes its reports."""
    batches, update = [], agent.update

    def spy(batch, *expert):
        batches.append(batch)
        return report(len(batches), update(batch, *expert))

    agent.update = spy
    return batches


class ConstantEvaluator:
    """Returns 1, 2, ... for seed 0 and 10 times as much for seed 1, at each call; `fail_at` a call raises."""

    def __init__(self, fail_at=None):
        self.calls, self.fail_at = 0, fail_at

    def __call__(self, policy):
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        return self.calls * np.array([[0.5, 1.5], [5.0, 15.0]])  # [S, episodes]


# ------------------------------------------------------------------------------------------------------------- online


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
    ("updates_per_frame", "total"),
    # from 20 frames on there are 7 batches of 10 frames; of 2.5 updates a batch the halves are carried on
    [(0.5, 35), (1.0, 70), (0.25, 17), (0.01, 0)],
)
def test_the_number_of_updates(counter_env, updates_per_frame, total):
    agent = sac()
    batches = spy_on_updates(agent)
    history = train_online(
        agent, counter_env, settings(updates_per_frame=updates_per_frame), evaluator=ConstantEvaluator()
    )
    assert len(batches) == total
    assert all(batch.observation.shape == (S, 8, 3) for batch in batches)
    assert history.x == [40, 60, 80]


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


class RecordingLog:
    def __init__(self):
        self.counts, self.values, self.rows = [], [], []

    def progress(self, count, **values):
        self.counts.append(count)
        self.values.append(values)

    def metrics(self, row):
        self.rows.append(row)


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


# ------------------------------------------------------------------------------------------- stopping and going on


def test_a_resumed_run_goes_on_where_it_stopped(counter_env, tmp_path, assert_same_state):
    checkpoint = tmp_path / "checkpoint.pt"
    first = train_online(sac(), counter_env, settings(frames=40), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    assert first.x == [30, 40]
    saved = load_safely(checkpoint, what="Checkpoint")
    assert saved["frames"] == 40

    agent, seen = SAC(SACConfig(**TINY), 3, 2, num_seeds=S, seed=99), []
    load = agent.load_state_dict

    def spy(state):
        load(state)
        assert_same_state(agent.state_dict(), saved["agent"])
        seen.append(True)

    agent.load_state_dict = spy
    batches = spy_on_updates(agent)
    history = train_online(
        agent, counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint, resume=checkpoint
    )
    assert seen
    assert len(batches) == 20  # 4 batches of 10 frames, no second warm-up
    assert history.x == [30, 40, 60, 80]
    assert history.returns == [*first.returns, [1, 10], [2, 20]]
    assert all(np.shape(values) == (4, S) for values in history.losses.values())
    assert history.wall_seconds > first.wall_seconds
    state = load_safely(checkpoint, what="Checkpoint")
    assert state["frames"] == 80
    assert len(state["replay"]["elements"]) == 80
    assert torch.equal(state["replay"]["elements"][:40], saved["replay"]["elements"])


def test_resuming_a_finished_run_adds_nothing(counter_env, tmp_path, assert_same_state):
    """As after a crash between the last checkpoint and the writing of the model."""
    checkpoint = tmp_path / "checkpoint.pt"
    first = train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    agent = sac()
    batches = spy_on_updates(agent)
    history = train_online(
        agent, counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint, resume=checkpoint
    )
    assert history.x == first.x
    assert batches == []
    assert_same_state(agent.state_dict(), load_safely(checkpoint, what="Checkpoint")["agent"])


@pytest.mark.parametrize(("stopped_at", "random_frames"), [(None, 20), (10, 10), (40, 0)])
def test_the_warm_up_is_not_begun_again(counter_env, tmp_path, monkeypatch, stopped_at, random_frames):
    checkpoint = None
    if stopped_at is not None:
        checkpoint = tmp_path / "checkpoint.pt"
        short = settings(frames=stopped_at, warmup_frames=5)
        train_online(sac(), counter_env, short, evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    asked_for = []

    def spy(*args, **kwargs):
        asked_for.append(kwargs["random_frames"])
        return make_collector(*args, **kwargs)

    monkeypatch.setattr("rlopt.training.make_collector", spy)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), resume=checkpoint)
    assert asked_for == [random_frames]


def test_what_cannot_be_resumed(counter_env, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(UserError, match="Checkpoint not found"):
        train_online(sac(), counter_env, settings(), resume=checkpoint)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    with pytest.raises(UserError, match="not of a run with these settings"):
        train_online(sac(hidden_sizes=(9,)), counter_env, settings(frames=90), resume=checkpoint)
    ipmd = IPMD(IPMDConfig(**TINY), 3, 2, num_seeds=S)
    with pytest.raises(UserError, match="not of a run with these settings"):
        train_online(ipmd, counter_env, settings(frames=90), resume=checkpoint)


@pytest.mark.parametrize("eval_points", [1, 4])  # 1: found when the next checkpoint is due, 4: by the evaluation
def test_a_loss_that_is_not_finite_stops_training(counter_env, tmp_path, eval_points):
    checkpoint = tmp_path / "checkpoint.pt"
    agent = sac()

    def spoil(number, info):  # from 50 frames on, between the checkpoints at 40 and 60
        return {**info, "critic_loss": torch.tensor([1.0, math.nan])} if number > 15 else info

    spy_on_updates(agent, spoil)
    with pytest.raises(NotFiniteError, match=r"at 60 frames: critic_loss is not finite for seed number 1\."):
        train_online(
            agent,
            counter_env,
            settings(eval_points=eval_points),
            evaluator=ConstantEvaluator(),
            checkpoint=checkpoint,
        )
    assert load_safely(checkpoint, what="Checkpoint")["frames"] == 40


def test_a_loss_that_is_not_finite_stops_training_without_a_checkpoint_too(counter_env):
    agent, evaluator = sac(), ConstantEvaluator()
    spy_on_updates(agent, lambda number, info: {**info, "alpha": torch.tensor([math.inf, 1.0])})
    with pytest.raises(NotFiniteError, match="at 40 frames: alpha is not finite for seed number 0"):
        train_online(agent, counter_env, settings(), evaluator=evaluator)
    assert evaluator.calls == 0


def test_check_finite_names_quantity_and_seeds():
    check_finite({"alpha": torch.ones(3)}, "now")
    info = {"alpha": torch.ones(3), "critic_loss": torch.tensor([math.inf, 0.0, -math.inf])}
    with pytest.raises(NotFiniteError, match=r"stopped now: critic_loss is not finite for seed number 0, 2\."):
        check_finite(info, "now")


def test_an_interrupt_saves_a_checkpoint(counter_env, tmp_path, assert_same_state):
    checkpoint = tmp_path / "checkpoint.pt"
    agent = sac()
    with pytest.raises(KeyboardInterrupt):
        train_online(
            agent,
            counter_env,
            settings(checkpoint_points=1),
            evaluator=ConstantEvaluator(fail_at=2),
            checkpoint=checkpoint,
        )
    state = load_safely(checkpoint, what="Checkpoint")
    assert state["frames"] == 60
    assert state["history"]["x"] == [40]
    assert len(state["replay"]["elements"]) == 60
    assert_same_state(state["agent"], agent.state_dict())


def test_an_interrupted_evaluation_is_made_up_for(counter_env, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(fail_at=3), checkpoint=checkpoint)
    history = train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), resume=checkpoint)
    assert history.x[-1] >= 80  # the last point of the learning curve is there


# ------------------------------------------------------------------------------------------------------------ offline


def linear_tanh_expert(n, seed):
    """Transitions of the policy a = tanh(W s + b) on observations of unequal scales."""
    generator = torch.Generator().manual_seed(seed)
    observation = torch.randn(n, 3, generator=generator) * torch.tensor([1.0, 20.0, 0.05]) + torch.tensor(
        [0.0, 50.0, 1]
    )
    weight = torch.tensor([[0.5, 0.02, 4.0], [-1.0, 0.03, 0.0]])
    action = torch.tanh(observation @ weight.T + torch.tensor([-5.0, -1.0]))
    return {"observation": observation, "action": action, "next_observation": observation}


def test_bc_recovers_a_known_policy():
    agent = BC(BCConfig(hidden_sizes=(32, 32), batch_size=128, learning_rate=3e-3, epochs=10), 3, 2, num_seeds=S)
    fresh = linear_tanh_expert(1_000, seed=1)

    def errors():
        """Root-mean-square error of the action of each seed, `[S]`."""
        action = agent.policy(fresh["observation"].expand(S, -1, -1))
        return (action - fresh["action"]).square().mean((1, 2)).sqrt()

    assert errors().min() > 0.3
    history = train_offline(agent, ExpertReplayBuffer(linear_tanh_expert(2_000, seed=0)))
    assert errors().max() < 0.03
    assert history.losses["bc_loss"][-1] < history.losses["bc_loss"][0]


@pytest.mark.parametrize(
    ("transitions", "min_steps", "steps"),
    # one pass over the data in batches of 10, the last one begun counted whole; never fewer than the minimum
    [(100, 3, 10), (101, 3, 11), (100, 25, 25), (5, 1, 1)],
)
def test_an_epoch_is_a_pass_and_never_too_short(transitions, min_steps, steps):
    config = BCConfig(hidden_sizes=(8,), batch_size=10, epochs=4, min_steps_per_epoch=min_steps)
    agent = BC(config, 3, 2, num_seeds=S)
    batches = spy_on_updates(agent)
    evaluator, log = ConstantEvaluator(), RecordingLog()
    data = ExpertReplayBuffer(linear_tanh_expert(transitions, seed=0))
    history = train_offline(agent, data, evaluator=evaluator, eval_points=2, log=log, seeds=[3, 4])
    assert len(batches) == 4 * steps
    assert all(batch.observation.shape == (S, 10, 3) for batch in batches)
    assert history.unit == "epochs"
    assert history.x == [2, 4]
    assert history.returns == [[1, 10], [2, 20]]
    assert np.shape(history.losses["bc_loss"]) == (4, S)  # every epoch
    assert [row["epochs"] for row in log.rows] == [1, 2, 3, 4]
    assert [row["return_seed4"] for row in log.rows][1::2] == [10, 20]
    assert math.isnan(log.rows[0]["return_seed4"])


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps():
    agent = BC(BCConfig(hidden_sizes=(8,), batch_size=10, epochs=1, min_steps_per_epoch=4), 3, 2, num_seeds=S)
    spy_on_updates(agent, lambda number, info: {"bc_loss": torch.tensor([1.0, 10.0]) * number})
    history = train_offline(agent, ExpertReplayBuffer(linear_tanh_expert(10, seed=0)))
    assert history.losses["bc_loss"] == [[2.5, 25.0]]  # (1 + 2 + 3 + 4) / 4
    assert history.x == history.returns == []  # there was no evaluator


def test_bc_stops_at_a_loss_that_is_not_finite():
    agent = BC(BCConfig(hidden_sizes=(8,), batch_size=10, epochs=3, min_steps_per_epoch=2), 3, 2, num_seeds=S)
    spy_on_updates(
        agent, lambda number, info: {"bc_loss": torch.tensor([math.nan, 1.0]) if number == 3 else torch.ones(2)}
    )
    with pytest.raises(NotFiniteError, match="in epoch 2: bc_loss is not finite for seed number 0"):
        train_offline(agent, ExpertReplayBuffer(linear_tanh_expert(10, seed=0)))


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
