"""Evaluation for a notebook; `rlopt.training.evaluation` has it."""

from rlopt.training.evaluation import Episode, Evaluator, evaluate, random_policy, sampling_policy, select_policy

__all__ = ["Episode", "Evaluator", "evaluate", "random_policy", "sampling_policy", "select_policy"]
