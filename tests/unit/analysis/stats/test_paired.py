"""Intervals, McNemar, families and power: against statsmodels and scipy, by enumeration, and as properties."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from analysis.stats.families import benjamini_hochberg, holm
from analysis.stats.intervals import AgainstChance, against_chance, bonett_price, subject_widening, wilson
from analysis.stats.paired import Paired, mid_p, pair_up
from proctor.statistical_power import questions_needed, smallest_difference

counts = st.integers(0, 400)
pairs = st.builds(Paired, counts, counts, counts, counts).filter(lambda pair: pair.asked > 0)


@given(st.integers(1, 5_000), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_is_that_of_statsmodels(asked: int, share: float, level: float) -> None:
    right = round(share * asked)
    ours = wilson(right, asked, level)
    low, high = proportion_confint(right, asked, alpha=1 - level, method="wilson")
    assert ours.low == pytest.approx(low, abs=1e-9)
    assert ours.high == pytest.approx(high, abs=1e-9)


def test_wilson_turns_with_right_and_wrong() -> None:
    ours, turned = wilson(13, 40), wilson(27, 40)
    assert (ours.low, ours.high) == pytest.approx((1 - turned.high, 1 - turned.low))


def test_widening_by_subject_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(4)
    asked = rng.integers(20, 60, 12)
    right = rng.binomial(asked, rng.beta(6, 3, 12))
    outcome = np.concatenate([np.arange(n) < k for k, n in zip(right, asked, strict=True)]).astype(float)
    fit = OLS(outcome, np.ones(outcome.size)).fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(12), asked), "use_correction": True}
    )
    share, size = outcome.mean(), outcome.size
    binomial = (share * (1 - share) / size) ** 0.5
    assert subject_widening(right, asked) == pytest.approx(fit.bse[0] / binomial, rel=1e-6)


def test_one_subject_says_nothing_about_others() -> None:
    assert subject_widening(np.array([3]), np.array([9])) is None


def test_nothing_asked_says_nothing() -> None:
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)


def test_more_right_than_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="5 right of 4"):
        wilson(5, 4)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mid_p_is_exact_minus_point_probability(lost: int, gained: int) -> None:
    ours = float(mid_p(np.array(lost), np.array(gained)))
    discordant = lost + gained
    if discordant == 0:
        assert ours == 1.0
    elif lost != gained:
        exact = binomtest(lost, discordant).pvalue
        assert ours == pytest.approx(exact - binom.pmf(min(lost, gained), discordant, 0.5), abs=1e-9)


@given(st.integers(0, 14), st.integers(0, 14))
def test_mid_p_is_the_enumeration_of_outcomes(lost: int, gained: int) -> None:
    discordant = lost + gained
    probability = [comb(discordant, k) / 2**discordant for k in range(discordant + 1)]
    seen = abs(lost - gained)
    more = sum(p for k, p in enumerate(probability) if abs(2 * k - discordant) > seen)
    equal = sum(p for k, p in enumerate(probability) if abs(2 * k - discordant) == seen)
    expected = more + equal / 2 if discordant else 1.0
    assert float(mid_p(np.array(lost), np.array(gained))) == pytest.approx(expected)


def test_mid_p_of_many_pairs_is_that_of_each() -> None:
    lost, gained = np.array([[3, 0], [1200, 7]]), np.array([[9, 0], [1100, 7]])
    together = mid_p(lost, gained)
    assert together[1, 0] == float(mid_p(np.array(1200), np.array(1100)))
    assert together.shape == (2, 2)


@given(pairs)
def test_turning_a_pair_turns_its_change_and_keeps_its_p(pair: Paired) -> None:
    there, back = bonett_price(pair), bonett_price(pair.turned())
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert pair.p == pytest.approx(pair.turned().p)


def test_bonett_price_by_hand() -> None:
    interval = bonett_price(Paired(both_right=60, lost=14, gained=6, both_wrong=20))
    lost, gained = 15 / 102, 7 / 102
    half = 1.959964 * ((lost + gained - (gained - lost) ** 2) / 102) ** 0.5
    assert interval.estimate == pytest.approx(-0.08)
    assert (interval.low, interval.high) == pytest.approx((gained - lost - half, gained - lost + half))


def test_bonett_price_covers_by_enumeration() -> None:
    asked, lost, gained = 60, 0.12, 0.05
    covered = 0.0
    for a in range(asked + 1):
        for b in range(asked + 1 - a):
            interval = bonett_price(Paired(asked - a - b, a, b, 0))
            if interval.low <= gained - lost <= interval.high:
                covered += float(binom.pmf(a, asked, lost) * binom.pmf(b, asked - a, gained / (1 - lost)))
    assert 0.94 < covered < 0.975


@settings(max_examples=20)  # one call of statsmodels takes a tenth of a second
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_families_are_those_of_statsmodels(p_values: list[float]) -> None:
    values = np.array(p_values)
    assert holm(values) == pytest.approx(multipletests(values, method="holm")[1])
    assert benjamini_hochberg(values) == pytest.approx(multipletests(values, method="fdr_bh")[1])


def test_pairing_counts_each_question_once() -> None:
    first = np.array([True, True, False, False, True])
    second = np.array([True, False, True, False, True])
    assert pair_up(first, second) == Paired(both_right=2, lost=1, gained=1, both_wrong=1)


def test_different_questions_are_not_paired() -> None:
    with pytest.raises(ValueError, match="same questions"):
        pair_up(np.ones(3, dtype=bool), np.ones(4, dtype=bool))


def test_smallest_difference_and_questions_needed_are_inverse() -> None:
    needed = questions_needed(0.12, 0.01)
    assert needed == 9408
    assert smallest_difference(0.12, needed) == pytest.approx(0.01, rel=1e-3)


def test_nothing_asked_shows_nothing() -> None:
    assert smallest_difference(0.05, 100) is None
    assert smallest_difference(0.05, 0) is None


@pytest.mark.parametrize(
    ("right", "where"),
    [
        (17, AgainstChance.AT), (16, AgainstChance.BELOW), (33, AgainstChance.AT), (34, AgainstChance.ABOVE),
        (25, AgainstChance.AT),
    ],
)  # fmt: skip
def test_one_contestant_is_against_chance_as_its_wilson_interval_is(right: int, where: AgainstChance) -> None:
    (found,) = against_chance(np.array([right]), np.array([100]), 0.25)
    interval = wilson(right, 100)
    assert found is where
    assert (interval.low <= 0.25 <= interval.high) == (where is AgainstChance.AT)


def test_chance_is_adjusted_over_contestants() -> None:
    # 35 of 100 is p = .021 against a quarter: above alone, not among three others at chance; 45 of 100 stays above.
    right, asked = np.array([35, 25, 45, 24]), np.array([100, 100, 100, 100])
    told = against_chance(right, asked, 0.25)
    assert told == (AgainstChance.AT, AgainstChance.AT, AgainstChance.ABOVE, AgainstChance.AT)
    assert against_chance(right[:1], asked[:1], 0.25) == (AgainstChance.ABOVE,)


def test_nothing_asked_is_at_chance() -> None:
    nothing = np.array([0])
    assert against_chance(nothing, nothing, 0.25) == (AgainstChance.AT,)


def test_of_twenty_that_guess_one_claim_in_twenty_is_false_at_most() -> None:
    rng = np.random.default_rng(8)
    asked = np.full(20, 200)
    claims = [
        any(where is not AgainstChance.AT for where in against_chance(rng.binomial(200, 0.25, 20), asked, 0.25))
        for _ in range(2000)
    ]
    assert np.mean(claims) < 0.07  # 1 - .95 ** 20 = .64 without the adjustment
