"""Scores of policies and of learning, in numbers and in a sentence: what needs no picture."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from rlopt.errors import UserError
from rlopt.imitation.demonstrations import Demonstrations
from rlopt.report import statistics


def score_summary(per_seed: np.ndarray, data: Demonstrations) -> dict[str, Any]:
    """Returns and scores of seeds with mean returns `[S]`; scores are NaN where there are none."""
    scores = _scores(per_seed, data)
    return {
        "return_per_seed": per_seed.tolist(),
        "return_mean": float(per_seed.mean()),
        "normalized_per_seed": scores.tolist(),
        "normalized_iqm": statistics.iqm(scores),
        "normalized_ci95": list(statistics.stratified_bootstrap_ci(scores)),
    }


GOOD_SCORE = 0.95
"""What counts as the expert's level."""


def speed_summary(history: Mapping[str, Any], data: Demonstrations) -> dict[str, Any]:
    """How fast a method learned: when its score was good to stay, and the mean score during training, by seed.

    None where it never was; NaN where there are no scores.
    """
    x, scores = history["x"], _scores(np.asarray(history["returns"], float), data)
    return {
        f"{history['unit']}_to_{GOOD_SCORE}": statistics.steps_to(GOOD_SCORE, x, scores),
        "area_per_seed": statistics.area_under_curve(x, scores).tolist(),
    }


def _scores(returns: np.ndarray, data: Demonstrations) -> np.ndarray:
    """NaN where the expert is no better than random, or one of the two returns was not recorded."""
    expert, random = data.expert_return, data.random_return
    if expert is not None and random is not None:
        with suppress(UserError):
            return statistics.normalized_score(returns, random_return=random, expert_return=expert)
    return np.full(returns.shape, np.nan)


def success_summary(successes: np.ndarray | None) -> dict[str, Any]:
    """Success rates of episodes `[S, episodes]`, each seed's and their mean; None where they are not known."""
    rates = None if successes is None else successes.mean(1)
    return {
        "success_rate_per_seed": None if rates is None else rates.tolist(),
        "success_rate": None if rates is None else float(rates.mean()),
    }


def counted(number: int, noun: str) -> str:
    """A number and its noun: "1 seed", "5 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def return_words(returns: np.ndarray, successes: np.ndarray | None) -> str:
    """Of final episodes `[S, episodes]`, for a sentence: "return -150.2 over 5 seeds, success rate 85%", if that is known."""
    rate = "" if successes is None else f", success rate {successes.mean():.0%}"
    return f"return {returns.mean():.1f} over {counted(len(returns), 'seed')}{rate}"


def score_line(title: str, returns: np.ndarray, data: Demonstrations, successes: np.ndarray | None = None) -> str:
    """One sentence for the log: return, success rate and normalised score of final episodes `[S, episodes]`."""
    summary = score_summary(returns.mean(1), data)
    text = f"{title}: {return_words(returns, successes)}"
    if data.expert_return is None:
        return f"{text}; the expert's return is not recorded, so there is no score."
    if np.isfinite(summary["normalized_iqm"]):
        worst = min(summary["normalized_per_seed"])
        text += f", {summary['normalized_iqm']:.3f} of the expert (normalised, IQM), worst seed {worst:.3f}"
    elif data.random_return is not None:
        text += "; the expert is no better than random actions, so there is no score"
    return text + "."
