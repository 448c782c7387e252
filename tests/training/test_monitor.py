"""The monitor by itself, with answers by hand, and in both loops: rows, history and checkpoints."""

import math

import numpy as np
import pytest
import torch

from rlopt.agents import BC
from rlopt.config import BCConfig
from rlopt.imitation.expert_buffer import ExpertReplayBuffer
from rlopt.logs.files import load_safely
from rlopt.logs.run_folder import read_metrics
from rlopt.logs.run_log import RunLog
from rlopt.training import NotFiniteError, train_offline, train_online
from rlopt.training.evaluation import BestPolicies, Evaluation
from rlopt.training.monitor import Monitor, check_finite

from .shared import TINY, ConstantEvaluator, RecordingLog, S, sac, settings


def monitor(unit, total, agent=None, **parts):
    agent = agent or sac()
    made = Monitor(agent, unit=unit, total=total, seeds=[7, 8], evaluator=ConstantEvaluator(), eval_points=2, **parts)
    made.start()
    return made


def report(number):
    """Of the update `number`: one value for each seed."""
    return {"alpha": torch.tensor([0.25, 0.75]) * number}


def test_a_row_by_hand():
    made = monitor("frames", 100)
    made.report(50, report(1))
    row = made.row(50, Evaluation(np.array([[1.0, 3.0], [10.0, 30.0]])))
    assert row.pop("wall_seconds") > 0
    assert row.pop("frames_per_second") > 0
    assert row == {
        **{"frames": 50, "return_mean": 11, "return_seed7": 2, "return_seed8": 20},
        **{"alpha_mean": 0.5, "alpha_seed7": 0.25, "alpha_seed8": 0.75},
    }
    without = monitor("epochs", 2).row(1, None)
    assert without["epochs"] == 1
    assert math.isnan(without["return_mean"])
    assert math.isnan(without["return_seed7"])
    assert math.isnan(without["return_seed8"])


def test_success_rates_stand_beside_the_returns():
    log = RecordingLog()
    log.add_columns = log.values.append
    made = monitor("frames", 40, log=log)
    made.evaluator = ConstantEvaluator(succeeds_from=1)
    made.report(20, report(1))
    names = ["success_mean", "success_seed7", "success_seed8"]
    assert [log.rows[0][name] for name in names] == [0.25, 0, 0.5]
    assert list(log.rows[0])[3:9] == ["return_mean", "return_seed7", "return_seed8", *names]
    assert log.values[1:] == [{"return": 5.5, "success": 0.25}, names]
    assert made.history.success_rates == [[0, 0.5]]


def test_a_success_that_is_told_late_leaves_rows_of_one_width(tmp_path):
    with RunLog(tmp_path, config={}, title="BC", total=4, unit="epochs", show_progress=False) as log:
        made = monitor("epochs", 4, every_report=True, log=log)
        made.evaluator = ConstantEvaluator(succeeds_from=2)
        for epoch in (1, 2, 3, 4, 5):  # evaluated at 2, when no success was told, and 4
            made.report(epoch, report(epoch))
    header, *rows = read_metrics(tmp_path / "metrics.csv")
    assert {len(row) for row in rows} == {len(header)}
    assert header[-3:] == ["success_mean", "success_seed7", "success_seed8"]
    assert [row[-3:] for row in rows] == [["nan"] * 3] * 3 + [["0.25", "0", "0.5"], ["nan"] * 3]
    assert [row[header.index("alpha_mean")] for row in rows] == ["0.5", "1", "1.5", "2", "2.5"]
    assert np.isnan(made.history.success_rates[0]).all()
    assert made.history.success_rates[1:] == [[0, 0.5]]


def test_a_checkpoint_from_before_success_rates_is_taken(tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    first = monitor("epochs", 40, checkpoint=checkpoint)
    first.report(20, report(1))
    first.save(20)
    state = load_safely(checkpoint, what="Checkpoint")
    assert state["history"].pop("success_rates") == []
    torch.save(state, checkpoint)
    made = monitor("epochs", 40)
    assert made.restore(checkpoint) == 20
    made.start()
    made.evaluator = ConstantEvaluator(succeeds_from=1)
    made.report(40, report(2))
    assert made.history.x == [20, 40]
    assert np.isnan(made.history.success_rates[0]).all()
    assert made.history.success_rates[1] == [0, 0.5]


def test_check_finite_names_quantity_and_seeds():
    check_finite({"alpha": torch.ones(3)}, "now")
    metrics = {"alpha": torch.ones(3), "critic_loss": torch.tensor([math.inf, 0.0, -math.inf])}
    with pytest.raises(NotFiniteError, match=r"stopped now: critic_loss is not finite for seed number 0, 2\."):
        check_finite(metrics, "now")


@pytest.mark.parametrize(
    ("every_report", "rows", "losses"),
    # evaluations are due at 20 and 40: rows and history have these reports alone, or all of them
    [
        (False, [20, 40], [[0.5, 1.5], [1.0, 3.0]]),
        (True, [10, 20, 30, 40], [[0.25 * n, 0.75 * n] for n in (1, 2, 3, 4)]),
    ],
)
def test_what_is_kept_of_reports(tmp_path, every_report, rows, losses):
    log, checkpoint = RecordingLog(), tmp_path / "checkpoint.pt"
    made = monitor("frames", 40, every_report=every_report, log=log, checkpoint=checkpoint, checkpoint_points=1)
    for number in (1, 2, 3):
        made.report(10 * number, report(number))
        assert load_safely(checkpoint, what="Checkpoint")["frames"] == 0  # the next one is due at the end
    made.report(40, report(4))
    assert [row["frames"] for row in log.rows] == rows
    assert [row["return_seed8"] for row in log.rows if row["frames"] in (20, 40)] == [10, 20]
    assert (made.history.x, made.history.returns) == ([20, 40], [[1, 10], [2, 20]])
    assert made.history.losses == {"alpha": losses}
    state = load_safely(checkpoint, what="Checkpoint")
    assert set(state) == {"agent", "history", "metrics", "frames"}
    assert state["frames"] == 40
    assert state["history"] == vars(made.history)
    assert state["metrics"]["alpha"].tolist() == [1, 3]


@pytest.mark.parametrize("every_report", [False, True])
def test_a_restored_monitor_goes_on(tmp_path, every_report, assert_same_state):
    checkpoint = tmp_path / "checkpoint.pt"
    first = monitor("epochs", 40, every_report=every_report, checkpoint=checkpoint)
    first.report(10, report(1))
    first.report(20, report(2))
    first.save(20)
    made = monitor("epochs", 40, sac(learning_rate=1.0), every_report=every_report)
    assert made.restore(checkpoint) == 20
    made.start()
    assert_same_state(made.agent.state_dict(), first.agent.state_dict())
    assert made.history == first.history
    assert made.metrics["alpha"].tolist() == [0.5, 1.5]
    made.report(20)  # nothing is due again
    made.report(30, report(3))
    assert made.history.x == [20]
    made.report(40, report(4))
    assert (made.history.x, made.history.returns) == ([20, 40], [[1, 10], [1, 10]])


def bc():
    return BC(BCConfig(**TINY, epochs=4, min_steps_per_epoch=2), 3, 2, num_seeds=S)


def demonstrations():
    generator = torch.Generator().manual_seed(0)
    observation = torch.randn(16, 3, generator=generator)
    return ExpertReplayBuffer(
        {"observation": observation, "action": observation[:, :2].tanh(), "next_observation": observation}
    )


def columns(unit, *names):
    per_seed = [f"{name}_{kind}" for name in ("return", *names) for kind in ("mean", "seed3", "seed4")]
    return [unit, "wall_seconds", f"{unit}_per_second", *per_seed]


def test_one_monitor_serves_both_loops(counter_env, tmp_path, assert_same_state):
    logs = {"frames": RecordingLog(), "epochs": RecordingLog()}
    files = {unit: tmp_path / f"{unit}.pt" for unit in logs}
    learner, cloner = sac(), bc()
    best = BestPolicies(learner.policy, S)
    evaluators = [ConstantEvaluator(), ConstantEvaluator()]
    online = train_online(
        *(learner, counter_env, settings(eval_points=2)),
        evaluator=evaluators[0],
        best=best,
        log=logs["frames"],
        checkpoint=files["frames"],
    )
    offline = train_offline(
        *(cloner, demonstrations()),
        evaluator=evaluators[1],
        eval_points=2,
        log=logs["epochs"],
        seeds=[3, 4],
        checkpoint=files["epochs"],
    )
    losses = ("critic_loss", "q_mean", "policy_loss", "alpha", "entropy")
    assert list(logs["frames"].rows[0]) == columns("frames", *losses)
    assert list(logs["epochs"].rows[0]) == columns("epochs", "bc_loss")
    assert [row["frames"] for row in logs["frames"].rows] == [40, 80]
    assert [row["epochs"] for row in logs["epochs"].rows] == [1, 2, 3, 4]
    evaluated = [row for row in logs["epochs"].rows if not math.isnan(row["return_mean"])]
    assert (
        [row["return_seed4"] for row in logs["frames"].rows] == [row["return_seed4"] for row in evaluated] == [10, 20]
    )

    assert (online.unit, offline.unit) == ("frames", "epochs")
    assert (online.x, offline.x) == ([40, 80], [2, 4])
    assert online.returns == offline.returns == [[1, 10], [2, 20]]
    assert {name: np.shape(values) for name, values in online.losses.items()} == dict.fromkeys(losses, (2, S))
    assert {name: np.shape(values) for name, values in offline.losses.items()} == {"bc_loss": (4, S)}

    states = {unit: load_safely(file, what="Checkpoint") for unit, file in files.items()}
    shared = {"agent", "history", "metrics", "loop"}
    assert set(states["frames"]) == shared | {"frames", "replay", "best"}
    assert set(states["epochs"]) == shared | {"epochs", "expert"}
    for unit, agent, history, count in (("frames", learner, online, 80), ("epochs", cloner, offline, 4)):
        state = states[unit]
        assert state[unit] == count
        assert state["history"] == vars(history)
        assert {name: value.tolist() for name, value in state["metrics"].items()} == {
            name: values[-1] for name, values in history.losses.items()
        }
        assert_same_state(state["agent"], agent.state_dict())
    assert_same_state(states["frames"]["best"], best.state_dict())
    assert states["frames"]["replay"]["count"] == 80
