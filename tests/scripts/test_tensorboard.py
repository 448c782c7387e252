"""`--tensorboard` as typed: beside metrics.csv, over an interruption, and without the package."""

import signal
import sys

import pytest

from rlopt.training.monitor import Monitor

from ..logs.shared import read_rows
from .shared import BC, IPMD, only

WORDS = ("data/expert_buffer.pt", "--epochs", 4, "--num-seeds", 2, "--device", "cpu", "--no-progress", "--no-wandb")


def test_an_interrupted_run_that_is_resumed_has_every_row_once(call, workplace, monkeypatch):
    pytest.importorskip("tensorboard")
    from ..logs.test_tensorboard_sink import read_events

    reports, report = [], Monitor.report

    def spy(self, *arguments):
        reports.append(1)
        if len(reports) == 3:
            signal.raise_signal(signal.SIGINT)
        report(self, *arguments)

    monkeypatch.setattr(Monitor, "report", spy)
    assert call(BC, *WORDS, "--tensorboard")[0] == 130
    monkeypatch.setattr(Monitor, "report", report)
    run = only((workplace / "logs/bc/Pendulum-v1").glob("*/config.json")).parent
    assert call(BC, "--resume", run, "--no-progress")[0] == 0  # which knows that it logs to TensorBoard
    columns, *rows = read_rows(run)
    events = read_events(run)
    assert events["epochs"] == [(epoch, float(epoch)) for epoch in (1, 2, 3, 4)]
    loss = columns.index("bc_loss_seed44")
    assert [value for _, value in events["bc_loss/seed44"]] == pytest.approx([float(row[loss]) for row in rows])


def test_without_the_package_nothing_is_begun(refused, monkeypatch, workplace):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert refused(IPMD, "data/expert_buffer.pt", "--tensorboard") == (
        "TensorBoard is not installed: pip install 'rlopt[tensorboard]', or say --no-tensorboard."
    )
