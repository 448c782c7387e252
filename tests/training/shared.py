"""What the tests of the loops share: a small agent, settings, and stand-ins for evaluator and log."""

import signal

import numpy as np

from rlopt.agents import SAC
from rlopt.config import SACConfig, TrainingConfig
from rlopt.training.evaluation import Evaluation

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
    """Returns 1, 2, ... for seed 0 and 10 times as much for seed 1, at each call; Ctrl-C is pressed during call `stop_at`.

    `succeeds_from` a call on, seed 1 succeeds in one of its two episodes.
    """

    def __init__(self, stop_at=None, succeeds_from=None):
        self.calls, self.stop_at, self.succeeds_from = 0, stop_at, succeeds_from

    def play(self, policy):
        self.calls += 1
        if self.calls == self.stop_at:
            signal.raise_signal(signal.SIGINT)
        known = self.succeeds_from is not None and self.calls >= self.succeeds_from
        successes = np.array([[False, False], [False, True]]) if known else None
        return Evaluation(self.calls * np.array([[0.5, 1.5], [5.0, 15.0]]), successes)  # [S, episodes]


class RecordingLog:
    def __init__(self):
        self.counts, self.values, self.rows = [], [], []

    def progress(self, count, **values):
        self.counts.append(count)
        self.values.append(values)

    def metrics(self, row):
        self.rows.append(row)

    def saved(self):
        pass
