"""The online loop stopped, by losses that are not finite and by interrupts, and how it goes on from a checkpoint."""

import math

import numpy as np
import pytest
import torch

from rlopt.agents import IPMD, SAC, EnvironmentReward
from rlopt.config import IPMDConfig, SACConfig
from rlopt.errors import UserError
from rlopt.logs.files import load_safely
from rlopt.training import NotFiniteError, train_online
from rlopt.training.collectors import make_collector

from .shared import TINY, ConstantEvaluator, S, sac, settings, spy_on_updates


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

    monkeypatch.setattr("rlopt.training.online.make_collector", spy)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), resume=checkpoint)
    assert asked_for == [random_frames]


def test_what_cannot_be_resumed(counter_env, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(UserError, match="Checkpoint not found"):
        train_online(sac(), counter_env, settings(), resume=checkpoint)
    train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    with pytest.raises(UserError, match="not of a run with these settings"):
        train_online(sac(hidden_sizes=(9,)), counter_env, settings(frames=90), resume=checkpoint)
    ipmd = IPMD(IPMDConfig(**TINY), 3, 2, num_seeds=S, reward=EnvironmentReward())
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


def test_frames_of_an_interrupted_batch_are_counted(counter_env, tmp_path):
    agent, checkpoint = sac(), tmp_path / "checkpoint.pt"

    def interrupt(number, info):  # in the third batch of 5 updates
        if number == 12:
            raise KeyboardInterrupt
        return info

    spy_on_updates(agent, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    state = load_safely(checkpoint, what="Checkpoint")
    assert state["frames"] == len(state["replay"]["elements"]) == 40


def test_an_interrupted_evaluation_is_made_up_for(counter_env, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(KeyboardInterrupt):
        train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(fail_at=3), checkpoint=checkpoint)
    history = train_online(sac(), counter_env, settings(), evaluator=ConstantEvaluator(), resume=checkpoint)
    assert history.x[-1] >= 80  # the last point of the learning curve is there
