"""Evaluation for a notebook; `rlopt.training.evaluation` has it."""

from rlopt.training.evaluation import (
    Episode,
    Evaluation,
    Evaluator,
    evaluate,
    play,
    random_policy,
    sampling_policy,
    select_policy,
)

__all__ = [
    "Episode",
    "Evaluation",
    "Evaluator",
    "evaluate",
    "play",
    "random_policy",
    "sampling_policy",
    "select_policy",
]
