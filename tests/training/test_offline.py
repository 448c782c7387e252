"""The offline loop: behaviour cloning recovers a known policy, an epoch is a pass, and the loop stops at no number."""

import math
import signal

import numpy as np
import pytest
import torch

from rlopt.agents import BC
from rlopt.config import BCConfig
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.logs.files import load_safely
from rlopt.training import NotFiniteError, monitor, train_offline
from rlopt.training.monitor import Monitor

from .shared import ConstantEvaluator, RecordingLog, S, spy_on_updates


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


def test_an_agent_may_report_several_metrics():
    agent = BC(BCConfig(hidden_sizes=(8,), batch_size=10, epochs=2, min_steps_per_epoch=2), 3, 2, num_seeds=S)

    def report(number, info):
        return {"loss": torch.tensor([1.0, 10.0]) * number, "accuracy": torch.tensor([0.5, 0.25]) / number}

    spy_on_updates(agent, report)
    log = RecordingLog()
    data = ExpertReplayBuffer(linear_tanh_expert(10, seed=0))
    history = train_offline(agent, data, evaluator=ConstantEvaluator(), eval_points=1, log=log, seeds=[3, 4])
    # updates 1 and 2, then 3 and 4: the means of their reports
    assert history.losses["loss"] == [[1.5, 15.0], [3.5, 35.0]]
    np.testing.assert_allclose(history.losses["accuracy"], [[3 / 8, 3 / 16], [7 / 48, 7 / 96]], rtol=1e-6)
    assert history.x == [2]
    assert [row["loss_mean"] for row in log.rows] == [8.25, 19.25]
    assert [row["accuracy_seed4"] for row in log.rows] == pytest.approx([3 / 16, 7 / 96])
    assert log.values[-1] == {"return": 5.5, "loss": 19.25, "accuracy": pytest.approx(7 / 64)}


@pytest.mark.parametrize("stop_at", [1, 3, 4, 7, 8])  # of 8 updates: in the middle of epochs, at their ends, at the end
def test_a_run_that_is_stopped_goes_on_in_the_middle_of_its_epoch(tmp_path, assert_same_state, stop_at):
    checkpoint, data = tmp_path / "checkpoint.pt", linear_tanh_expert(10, seed=0)

    def build():
        return BC(BCConfig(hidden_sizes=(8,), batch_size=10, epochs=4, min_steps_per_epoch=2), 3, 2, num_seeds=S)

    def run(agent, log, **how):
        return train_offline(
            *(agent, ExpertReplayBuffer(data, seed=1)),
            evaluator=ConstantEvaluator(),
            eval_points=2,
            log=log,
            checkpoint=checkpoint,
            **how,
        )

    whole, rows = build(), RecordingLog()
    undisturbed = run(whole, rows)
    agent, before, after = build(), RecordingLog(), RecordingLog()
    spy_on_updates(agent, lambda number, info: (number == stop_at and signal.raise_signal(signal.SIGINT)) or info)
    with pytest.raises(KeyboardInterrupt):
        run(agent, before)
    state = load_safely(checkpoint, what="Checkpoint")
    assert (state["epochs"], state["loop"]["steps"]) == divmod(stop_at, 2)

    resumed = build()
    batches = spy_on_updates(resumed)
    history = run(resumed, after, resume=checkpoint)
    assert len(batches) == 8 - stop_at
    assert_same_state(resumed.state_dict(), whole.state_dict())
    assert (history.x, history.losses) == (undisturbed.x, undisturbed.losses)
    assert [row["bc_loss_mean"] for log in (before, after) for row in log.rows] == [
        row["bc_loss_mean"] for row in rows.rows
    ]


def test_checkpoints_are_written_at_even_intervals(tmp_path, monkeypatch):
    saved, save = [], Monitor.save
    monkeypatch.setattr(monitor, "SAVING", math.inf)
    monkeypatch.setattr(Monitor, "save", lambda self, count: (saved.append(count), save(self, count)))
    agent = BC(BCConfig(hidden_sizes=(8,), batch_size=10, epochs=8, min_steps_per_epoch=1), 3, 2, num_seeds=S)
    train_offline(agent, ExpertReplayBuffer(linear_tanh_expert(10, seed=0)), checkpoint_points=4)
    assert saved == [2, 4, 6, 8]


def test_bc_stops_at_a_loss_that_is_not_finite():
    agent = BC(BCConfig(hidden_sizes=(8,), batch_size=10, epochs=3, min_steps_per_epoch=2), 3, 2, num_seeds=S)
    spy_on_updates(
        agent, lambda number, info: {"bc_loss": torch.tensor([math.nan, 1.0]) if number == 3 else torch.ones(2)}
    )
    with pytest.raises(NotFiniteError, match="at 2 epochs: bc_loss is not finite for seed number 0"):
        train_offline(agent, ExpertReplayBuffer(linear_tanh_expert(10, seed=0)))
