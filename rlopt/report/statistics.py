"""Numbers that say how good a method is and how sure that is; pure numpy.

Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021, arXiv 2108.13264
(the interquartile mean and the stratified bootstrap, as in its library rliable). Shape letters: `S` seeds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rlopt.errors import UserError


def normalized_score(returns: ArrayLike, *, random_return: float, expert_return: float) -> NDArray[np.float64]:
    """`(return - random) / (expert - random)`: 0 is the random policy, 1 the expert; below and above both occur.

    Args:
        returns: returns of any shape.
        random_return: the random policy's mean return.
        expert_return: the expert's mean return.

    Returns:
        Scores, the shape of `returns`.

    Raises:
        UserError: the expert is no better than the random policy, so that a score would mean nothing.
    """
    margin = expert_return - random_return
    # Rounding alone must not make an expert; the comparison also catches NaN.
    if not margin > 1e-6 * max(abs(expert_return), abs(random_return)):
        raise UserError(
            f"The expert (mean return {expert_return:.6g}) is no better than a random policy ({random_return:.6g}), "
            "so a normalised score means nothing; train the expert for longer (raise its --frames)."
        )
    return (np.asarray(returns, dtype=np.float64) - random_return) / margin


def iqm(scores: ArrayLike, axis: int | None = None) -> Any:
    """Interquartile mean: the mean of what is left when a quarter of the values is cut off at each end.

    The same value as `scipy.stats.trim_mean(scores, 0.25)`: `floor(n / 4)` values go at each end, so that with
    fewer than four values it is the mean.

    Args:
        scores: values of any shape.
        axis: the axis to reduce, length n; None flattens first.

    Returns:
        `scores` without `axis`; a float for None. A NaN makes it NaN: a seed that diverged is not cut off.

    Raises:
        ValueError: there is no value.
    """
    values = np.asarray(scores, dtype=np.float64)
    if axis is None:
        return float(iqm(values.reshape(-1), axis=-1))
    values = np.moveaxis(values, axis, -1)
    n = values.shape[-1]
    if n == 0:
        raise ValueError("The interquartile mean of no values is not defined.")
    cut = n // 4
    middle = np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1)
    return np.where(np.isnan(values).any(axis=-1), np.nan, middle)  # sorting puts NaN last, where it would be cut off


def stratified_bootstrap_ci(
    scores: ArrayLike,
    statistic: Callable[..., Any] = iqm,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic; seeds are the unit, drawn with replacement within each task.

    With few seeds such an interval is somewhat too narrow: it cannot know of luck that no seed had.

    Args:
        scores: `[S]` for one task or `[S, tasks]`; one number per training run, never one per episode.
        statistic: reduces the last axis when called as `statistic(samples, axis=-1)` with samples
            `[resamples, S * tasks]` (`iqm`, `np.mean`, `np.median`).
        confidence: the interval's level, between 0 and 1.
        resamples: how many bootstrap samples.
        seed: of the resampling, so that the same scores always give the same interval.

    Returns:
        `(low, high)`; `(nan, nan)` for S = 1, because one seed says nothing about the spread between seeds.

    Raises:
        ValueError: `scores` has another number of dimensions or no values, or `confidence` is not between 0 and 1.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"scores must be [S] or [S, tasks] and hold values, not of shape {values.shape}.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}.")
    values = values.reshape(len(values), -1)  # [S, tasks]
    if len(values) == 1:
        return float("nan"), float("nan")
    samples = _resampled(values, resamples, np.random.default_rng(seed))
    return _percentile_interval(statistic(samples.reshape(resamples, values.size), axis=-1), confidence)


def _resampled(values: NDArray[np.float64], resamples: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Bootstrap samples `[resamples, S, tasks]` of `[S, tasks]`.

    Every task draws seeds of its own: its runs are independent of the other tasks' runs.
    """
    seeds, tasks = values.shape
    return values[generator.integers(seeds, size=(resamples, seeds, tasks)), np.arange(tasks)]


def _percentile_interval(estimates: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(estimates, [tail, 1 - tail])
    return float(low), float(high)


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """The chance that a run of X has a higher score than a run of Y on the same task; a tie counts half.

    Args:
        x: `[S]` for one task or `[S, tasks]`; one number per training run.
        y: `[S']` or `[S', tasks]`, likewise.

    Returns:
        The mean over the tasks, between 0 and 1; nan where a score is.

    Raises:
        ValueError: another number of dimensions, other tasks, or no values.
    """
    return float(_improvement(*_two_methods(x, y)))


def improvement_ci(x: ArrayLike, y: ArrayLike, resamples: int = 2_000, seed: int = 0) -> tuple[float, float]:
    """95% percentile bootstrap interval of `probability_of_improvement`; each method's runs are drawn within each task.

    Returns:
        `(low, high)`; `(nan, nan)` where a method has one run.

    Raises:
        ValueError: as above.
    """
    pair = _two_methods(x, y)
    if min(map(len, pair)) == 1:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    return _percentile_interval(_improvement(*(_resampled(values, resamples, generator) for values in pair)), 0.95)


def _two_methods(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pair = [np.asarray(values, dtype=np.float64) for values in (x, y)]
    if any(values.ndim not in (1, 2) or values.size == 0 for values in pair):
        raise ValueError(f"scores must be [S] or [S, tasks] and hold values, not of shapes {[v.shape for v in pair]}.")
    first, second = (values.reshape(len(values), -1) for values in pair)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"Both methods need scores of the same tasks, not of {first.shape[1]} and {second.shape[1]}.")
    return first, second


def _improvement(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of `[..., S, tasks]` and `[..., S', tasks]`: the mean over all pairs of runs of a task, and over tasks."""
    difference = x[..., :, None, :] - y[..., None, :, :]
    return ((np.sign(difference) + 1) / 2).mean(axis=(-3, -2, -1))


def steps_to(level: float, x: ArrayLike, scores: ArrayLike) -> int | None:
    """The first evaluation from which the interquartile mean over the seeds stays at `level` or above.

    Args:
        level: of the scores.
        x: `[P]`, frames or epochs at the evaluations, rising.
        scores: `[P, S]`.

    Returns:
        An item of `x`; None where the last evaluation is below (NaN is).
    """
    below = np.flatnonzero(~(iqm(scores, axis=-1) >= level))
    later = np.asarray(x)[below[-1] + 1 if len(below) else 0 :]
    return int(later[0]) if len(later) else None


def area_under_curve(x: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """The mean score during training, by seed: each evaluation stands for the frames since the one before it.

    Args:
        x: `[P]`, frames or epochs at the evaluations, rising, the first one above 0.
        scores: `[P, S]`.

    Returns:
        `[S]`.
    """
    return np.average(np.asarray(scores, dtype=np.float64), axis=0, weights=np.diff(np.asarray(x), prepend=0))


def shown(value: float | None, digits: int, other: str = "not defined") -> str:
    """A number for the eye; `other` for None and NaN."""
    return other if value is None or np.isnan(value) else f"{value:.{digits}f}"


def _standardized_pair(x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Both flattened, mean 0 and (population) standard deviation 1; None where one is constant."""
    pair = [np.asarray(values, dtype=np.float64).reshape(-1) for values in (x, y)]
    if pair[0].size != pair[1].size or pair[0].size < 2:
        raise ValueError(
            f"Two series of the same length, 2 or more, are needed, not {pair[0].size} and {pair[1].size}."
        )
    if any(np.ptp(values) == 0 for values in pair):
        return None
    first, second = ((values - values.mean()) / values.std() for values in pair)
    return first, second


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's correlation of two series of n values each (any shape, flattened).

    Returns:
        Between -1 and 1; nan where a series is constant, because nothing can be said then.

    Raises:
        ValueError: lengths differ or are below 2.
    """
    pair = _standardized_pair(x, y)
    return float("nan") if pair is None else float(np.clip(np.mean(pair[0] * pair[1]), -1.0, 1.0))


def standardized_error(x: ArrayLike, y: ArrayLike) -> float:
    """Root-mean-square difference of two series of n values once each has mean 0 and standard deviation 1.

    A learned reward is known only up to scale and offset; this is the distance that is left. 0 is perfect, sqrt(2)
    unrelated, 2 the exact opposite: it equals `sqrt(2 (1 - pearson))`.

    Returns:
        Between 0 and 2; nan where a series is constant.

    Raises:
        ValueError: lengths differ or are below 2.
    """
    pair = _standardized_pair(x, y)
    return float("nan") if pair is None else float(np.sqrt(np.mean(np.square(pair[0] - pair[1]))))
