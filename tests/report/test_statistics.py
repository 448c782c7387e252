"""Scores, intervals and correlations against values worked out by hand, and against scipy."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from rlopt.errors import UserError
from rlopt.report.statistics import (
    area_under_curve,
    improvement_ci,
    iqm,
    normalized_score,
    pearson,
    probability_of_improvement,
    shown,
    standardized_error,
    steps_to,
    stratified_bootstrap_ci,
)

values = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40)


def test_normalized_score_by_hand():
    scores = normalized_score([[-1200.0, -150.0], [-675.0, 375.0]], random_return=-1200.0, expert_return=-150.0)
    assert scores.shape == (2, 2)
    np.testing.assert_allclose(scores, [[0.0, 1.0], [0.5, 1.5]])


@pytest.mark.parametrize("expert", [-1200.0, -1300.0, -1200.0 + 1e-6, math.nan])
def test_an_expert_no_better_than_random_has_no_score(expert):
    with pytest.raises(UserError, match=r"no better than a random policy.*raise its --frames"):
        normalized_score([0.0], random_return=-1200.0, expert_return=expert)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([7], 7.0),
        ([1, 2, 6], 3.0),  # fewer than four: nothing is cut
        ([100, 1, 3, -50], 2.0),  # one cut at each end
        ([0, 1, 2, 3, 1000], 2.0),
        ([0, 1, 2, 3, 4, 5, 6, 1000], 3.5),  # two cut at each end
        ([[-9, 1], [3, 99]], 2.0),  # flattened
    ],
)
def test_iqm_by_hand(scores, expected):
    assert iqm(scores) == expected


@given(values)
def test_iqm_is_scipys_trimmed_mean(scores):
    assert iqm(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25), rel=1e-12, abs=1e-9)


def test_iqm_along_an_axis():
    scores = np.random.default_rng(1).normal(size=(9, 4, 5))
    np.testing.assert_allclose(iqm(scores, axis=0), scipy.stats.trim_mean(scores, 0.25, axis=0))


def test_a_diverged_seed_is_not_cut_off():
    assert math.isnan(iqm([1.0, 2.0, 3.0, math.nan]))


def test_iqm_of_nothing_raises():
    with pytest.raises(ValueError, match="no values"):
        iqm([])


def test_bootstrap_of_two_seeds_by_hand():
    # Means of two draws from {0, 1}: 0 and 1 with probability 1/4 each, so the 0.4 interval lies in
    # the middle half (all 0.5) and the 0.9 interval spans everything.
    assert stratified_bootstrap_ci([0.0, 1.0], confidence=0.4) == (0.5, 0.5)
    assert stratified_bootstrap_ci([0.0, 1.0], confidence=0.9) == (0.0, 1.0)


def test_bootstrap_of_the_mean_has_its_known_width():
    # The bootstrap's standard error of a mean is std / sqrt(S); its distribution is near normal at S = 50.
    scores = np.random.default_rng(0).normal(size=50)
    low, high = stratified_bootstrap_ci(scores, statistic=np.mean)
    half_width = 1.96 * scores.std() / math.sqrt(50)
    assert low == pytest.approx(scores.mean() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(scores.mean() + half_width, abs=0.1 * half_width)


def test_bootstrap_stays_within_each_task():
    # Each task's seeds agree, so any resampling within tasks gives the same mean; mixing tasks would not.
    scores = np.tile([0.0, 1.0, 5.0], (4, 1))  # [S, tasks]
    assert stratified_bootstrap_ci(scores, statistic=np.mean) == (2.0, 2.0)


def test_bootstrap_draws_seeds_for_each_task_on_its_own():
    # Two tasks that mirror each other: drawing whole rows would always give a mean of 0.
    low, high = stratified_bootstrap_ci([[1.0, -1.0], [-1.0, 1.0]], statistic=np.mean)
    assert low < 0 < high


def test_bootstrap_is_repeatable_and_moves_with_its_seed():
    scores = np.random.default_rng(2).normal(size=8)
    assert stratified_bootstrap_ci(scores, resamples=200) == stratified_bootstrap_ci(scores, resamples=200)
    assert stratified_bootstrap_ci(scores, resamples=200) != stratified_bootstrap_ci(scores, resamples=200, seed=1)


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=10))
def test_bootstrap_interval_lies_within_the_scores(scores):
    low, high = stratified_bootstrap_ci(scores, resamples=100)
    assert min(scores) - 1e-9 <= low <= high <= max(scores) + 1e-9


def test_one_seed_has_no_interval():
    assert all(math.isnan(bound) for bound in stratified_bootstrap_ci([0.9]))
    assert all(math.isnan(bound) for bound in stratified_bootstrap_ci([[0.9, 0.8]]))


@pytest.mark.parametrize("scores", [[], 1.0, np.zeros((2, 2, 2))])
def test_bootstrap_refuses_other_shapes(scores):
    with pytest.raises(ValueError, match="scores must be"):
        stratified_bootstrap_ci(scores)


def test_bootstrap_refuses_a_percentage():
    with pytest.raises(ValueError, match="between 0 and 1"):
        stratified_bootstrap_ci([1.0, 2.0], confidence=95)


def test_probability_of_improvement_by_hand():
    # pairs: 3 > 1, 3 > 2, 2 > 1 and a tie
    assert probability_of_improvement([3.0, 2.0], [1.0, 2.0]) == pytest.approx(3.5 / 4)
    # a second task, where X always loses
    assert probability_of_improvement([[3.0, 0.0], [2.0, 0.0]], [[1.0, 1.0], [2.0, 1.0]]) == pytest.approx(3.5 / 8)
    assert math.isnan(probability_of_improvement([math.nan, 1.0], [0.0, 0.0]))
    # as rliable 1.2.0 has it (findings/rliable_and_pandas_3.sh)
    assert probability_of_improvement([1.0, 2.0, 3.0, 4.0], [0.0, 1.5, 2.5, 0.5]) == 0.8125


def test_probability_of_improvement_is_mann_whitneys_statistic():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=7), generator.normal(size=5).round(1)
    expected = scipy.stats.mannwhitneyu(x, y).statistic / 35
    assert probability_of_improvement(x, y) == pytest.approx(expected)


def test_improvement_interval():
    assert improvement_ci([2.0, 3.0], [0.0, 1.0]) == (1.0, 1.0)  # whatever is drawn
    low, high = improvement_ci([0.0, 1.0], [0.0, 1.0])
    assert (low, high) == (0.0, 1.0)  # both draws of X at 0 and of Y at 1: one in sixteen
    assert all(map(math.isnan, improvement_ci([1.0], [0.0, 1.0])))


def test_improvement_draws_within_each_task():
    x, y = np.array([[1.0, 10.0]] * 3), np.array([[0.0, 11.0]] * 3)
    assert improvement_ci(x, y) == (0.5, 0.5)


@pytest.mark.parametrize(("x", "y"), [([], [1.0]), ([[[1.0]]], [1.0]), ([[1.0, 2.0]], [1.0])])
def test_improvement_refuses_other_shapes(x, y):
    with pytest.raises(ValueError, match="scores"):
        probability_of_improvement(x, y)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.96, 0.94, 0.95, 1.0], 30),
        ([0.95, 0.95, 0.95, 0.95], 10),
        ([1.0, 1.0, 1.0, 0.9], None),
        ([1.0, 1.0, 1.0, math.nan], None),
        ([], None),
    ],
)
def test_steps_until_a_level_is_held(scores, expected):
    assert steps_to(0.95, [10, 20, 30, 40][: len(scores)], np.array(scores).reshape(-1, 1)) == expected


def test_the_level_is_of_the_interquartile_mean():
    assert steps_to(1.0, [5], [[0.0, 1.0, 1.0, 1.0, 1.0]]) == 5


def test_area_under_a_curve_by_hand():
    # 10 frames at 0, then 30 at 1; the second seed 10 at 2 and 30 at 0
    assert area_under_curve([10, 40], [[0.0, 2.0], [1.0, 0.0]]).tolist() == [0.75, 0.5]


def test_correlation_by_hand():
    # Deviations (-1, 0, 1) and (-1, 2, -1) are orthogonal; (-1, 0, 1) and (-1, 1, 0) have cosine 1/2.
    assert pearson([1, 2, 3], [0, 3, 0]) == pytest.approx(0.0, abs=1e-15)
    assert pearson([1, 2, 3], [4, 6, 5]) == pytest.approx(0.5)
    assert pearson([1, 2, 3], [-10, -20, -30]) == pytest.approx(-1.0)
    assert standardized_error([1, 2, 3], [0, 3, 0]) == pytest.approx(math.sqrt(2))
    assert standardized_error([1, 2, 3], [4, 6, 5]) == pytest.approx(1.0)
    assert standardized_error([1, 2, 3], [-10, -20, -30]) == pytest.approx(2.0)


def test_scale_and_offset_do_not_matter():
    x = np.random.default_rng(3).normal(size=(4, 25))
    assert pearson(x, 7 * x - 100) == pytest.approx(1.0)
    assert standardized_error(x, 7 * x - 100) == pytest.approx(0.0, abs=1e-6)


def test_correlation_is_scipys():
    x, y = np.random.default_rng(4).normal(size=(2, 100))
    expected = scipy.stats.pearsonr(x, y).statistic
    assert pearson(x, y) == pytest.approx(expected)
    assert standardized_error(x, y) == pytest.approx(math.sqrt(2 * (1 - expected)))


def test_a_number_for_the_eye():
    assert shown(0.12345, 3) == "0.123"
    assert shown(None, 3) == shown(float("nan"), 3) == "not defined"
    assert shown(None, 1, "not recorded") == "not recorded"


@pytest.mark.parametrize("measure", [pearson, standardized_error])
def test_a_constant_series_has_no_correlation(measure):
    assert math.isnan(measure([0.1] * 7, np.arange(7)))  # rounding gives seven times 0.1 a deviation of 1e-17


@pytest.mark.parametrize("measure", [pearson, standardized_error])
@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 2, 3]), ([1], [1]), ([], [])])
def test_series_of_different_lengths_are_refused(measure, x, y):
    with pytest.raises(ValueError, match="same length"):
        measure(x, y)
