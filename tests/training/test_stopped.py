"""The online loop stopped, by losses that are not finite and by a second interrupt."""

import math
import signal

import pytest
import torch

from rlopt.envs.spec import env_spec
from rlopt.logs.files import load_safely
from rlopt.training import NotFiniteError, monitor, train_online

from ..envs.line import Line
from .shared import ConstantEvaluator, sac, settings, spy_on_updates


@pytest.fixture(autouse=True)
def checkpoints_take_their_time(monkeypatch):
    """These trainings are so short that most checkpoints would be left out."""
    monkeypatch.setattr(monitor, "SAVING", math.inf)


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


def test_a_second_interrupt_stops_at_once(counter_env, tmp_path):
    agent, checkpoint = sac(), tmp_path / "checkpoint.pt"

    def interrupt(number, info):  # in the third batch of 5 updates
        if number in (12, 13):
            signal.raise_signal(signal.SIGINT)
        return info

    batches = spy_on_updates(agent, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train_online(agent, counter_env, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    assert len(batches) == 13
    assert load_safely(checkpoint, what="Checkpoint")["frames"] == 20  # nothing half done was saved
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Ended(Line):
    """A simulator that the user's signal ends, too, in its 15th step."""

    count = 0

    def step(self, action):
        self.count += 1
        if self.count == 15:
            signal.raise_signal(signal.SIGINT)
            raise ConnectionError("the simulator is gone")
        return super().step(action)


def test_an_environment_that_the_signal_ends_is_an_interrupt(tmp_path):
    spec, checkpoint = env_spec(Ended, max_episode_steps=7), tmp_path / "checkpoint.pt"
    agent = sac(observation_size=2, action_size=1)
    with pytest.raises(KeyboardInterrupt):
        train_online(agent, spec, settings(), evaluator=ConstantEvaluator(), checkpoint=checkpoint)
    assert load_safely(checkpoint, what="Checkpoint")["frames"] > 0
