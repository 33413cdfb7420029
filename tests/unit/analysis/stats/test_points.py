"""Paired points: equal to right and wrong where all are 0 or 1, and simulated where they aren't."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ttest_1samp, ttest_rel

from analysis.stats.intervals import bonett_price, wilson
from analysis.stats.paired import Paired, pair_up
from analysis.stats.points import (
    EXACT,
    PairedPoints,
    change_interval,
    largest_loss,
    lost_within_p,
    mean_points,
    pair_marks,
    sign_p,
)
from analysis.stats.verdict import Finding, judge

MARKS = st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0])


def points_of(first: np.ndarray, second: np.ndarray) -> PairedPoints:
    """The pair as one of points, also where all are 0 or 1."""
    pair = pair_up(first == 1, second == 1)
    return PairedPoints(pair.both_right, pair.lost, pair.gained, pair.both_wrong, tuple((second - first).tolist()))


@st.composite
def rights(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(1, 60))
    one, other = (draw(arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0]))) for _ in range(2))
    return one, other


@st.composite
def graded(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    size = draw(st.integers(2, 30))
    one, other = (draw(arrays(np.float64, size, elements=MARKS)) for _ in range(2))
    assume(not all(((marks == 0) | (marks == 1)).all() for marks in (one, other)))
    return one, other


@settings(deadline=None)
@given(rights())
def test_right_and_wrong_are_a_two_by_two(marks: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = marks
    pair = pair_marks(first, second)
    assert type(pair) is Paired
    assert pair == pair_up(first == 1, second == 1)


@settings(deadline=None)
@given(rights())
def test_every_formula_is_that_of_right_and_wrong_where_points_are_0_or_1(
    marks: tuple[np.ndarray, np.ndarray],
) -> None:
    first, second = marks
    pair, points = pair_marks(first, second), points_of(first, second)
    assert points.change == pytest.approx(pair.change)
    assert points.smoothed_discordance == pytest.approx(pair.smoothed_discordance)
    ours, theirs = change_interval(points), bonett_price(pair)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    if pair.discordant <= EXACT:
        assert points.p == pytest.approx(pair.p)
    interval = wilson(int(first.sum()), first.size)
    assert mean_points(first) == interval


@settings(deadline=None)
@given(graded())
def test_turning_a_pair_turns_all_that_is_said_of_it(marks: tuple[np.ndarray, np.ndarray]) -> None:
    pair, turned = pair_marks(*marks), pair_marks(marks[1], marks[0])
    assert isinstance(pair, PairedPoints)
    assert pair.turned() == turned
    assert pair.asked == marks[0].size
    assert pair.discordant == np.count_nonzero(marks[0] != marks[1])
    assert pair.p == pytest.approx(turned.p)
    assert change_interval(pair).low == pytest.approx(-change_interval(turned).high)
    assert 0 <= pair.p <= 1


@settings(deadline=None)
@given(graded(), st.floats(-0.5, 0.9))
def test_the_bound_of_the_loss_is_where_its_p_value_is_at_its_level(
    marks: tuple[np.ndarray, np.ndarray], margin: float
) -> None:
    pair = pair_marks(*marks)
    assert isinstance(pair, PairedPoints)
    bound = largest_loss(pair)
    assume(bound < 1 and abs(bound - margin) > 1e-6)
    assert (lost_within_p(pair, margin) < 0.05) is (margin > bound)


def test_signs_are_turned_in_every_way() -> None:
    # 2^3 sums of ±0.5 ±0.25 ±0.1: 0.85 is reached by one and its opposite, of 8.
    assert sign_p(np.array([0.5, 0.25, 0.1, 0.0])) == pytest.approx(2 / 8 / 2)
    assert sign_p(np.array([0.5, 0.25, -0.1])) == pytest.approx(2 / 8 + 2 / 8 / 2)
    assert sign_p(np.zeros(5)) == 1.0


def test_with_many_differences_it_is_students_paired_t_of_scipy() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.choice([0, 0.3, 0.8, 1], 60), rng.choice([0, 0.3, 0.8, 1], 60)
    pair = pair_marks(first, second)
    assert pair.discordant > EXACT
    assert pair.p == pytest.approx(ttest_rel(first, second).pvalue)
    assert pair.test == "paired t"


def test_the_interval_of_a_mean_is_students_of_scipy() -> None:
    marks = np.array([0.1, 0.5, 0.5, 0.9, 1.0, 0.3])
    low, high = ttest_1samp(marks, 0.5).confidence_interval(0.95)
    ours = mean_points(marks)
    assert (ours.estimate, ours.low, ours.high) == pytest.approx((marks.mean(), low, high))


def test_marks_that_are_all_alike_leave_the_interval_open() -> None:
    ours = mean_points(np.full(8, 0.5))
    assert ours == wilson(4, 8)
    assert ours.low < 0.5 < ours.high


@pytest.mark.parametrize("questions", [20, 80, 300])
@pytest.mark.parametrize("lift", [0.0, 0.05])
def test_intervals_hold_the_truth_and_p_errs_as_often_as_it_says(questions: int, lift: float) -> None:
    rng = np.random.default_rng(questions)
    grid = np.arange(11) / 10  # a judge's points
    held, called, trials, truth = 0, 0, 1500, 0.0
    weights = np.exp(-(((grid - 0.6) / 0.25) ** 2))
    lifted = np.exp(-(((grid - 0.6 - lift) / 0.25) ** 2))
    truth = float(grid @ (lifted / lifted.sum()) - grid @ (weights / weights.sum()))
    for _ in range(trials):
        first = rng.choice(grid, questions, p=weights / weights.sum())
        second = rng.choice(grid, questions, p=lifted / lifted.sum())
        pair = pair_marks(first, second)
        interval = change_interval(pair)
        held += interval.low <= truth <= interval.high
        called += pair.p < 0.05
    assert 0.935 <= held / trials <= 0.985
    if not lift:
        assert called / trials <= 0.065


def test_a_verdict_on_points_says_what_one_on_right_and_wrong_says() -> None:
    rng = np.random.default_rng(2)
    first = rng.choice([0.2, 0.4, 0.6], 200)
    better = judge(pair_marks(first, np.clip(first + rng.choice([0.0, 0.2], 200), 0, 1)))
    assert better.finding is Finding.BETTER
    assert better.change.low < 0.1 < better.change.high
    alike = judge(pair_marks(first, first + np.where(np.arange(200) % 50 == 0, 0.01, 0.0)), margin=0.05)
    assert alike.finding is Finding.WITHIN
    assert alike.loss_bound < 0.05
    assert better.detectable is not None
    assert 0 < better.detectable < 0.1


def test_points_of_other_questions_do_not_pair() -> None:
    with pytest.raises(ValueError, match="aren't the same questions"):
        pair_marks(np.array([0.5, 1.0]), np.array([0.5]))
