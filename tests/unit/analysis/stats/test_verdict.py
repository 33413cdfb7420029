"""Verdicts: figures worked out by hand, the level of "within" by enumeration, and what power there is."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom

from analysis.data.panel import Panel
from analysis.stats.intervals import bonett_price
from analysis.stats.noninferiority import loss_bound, score, within_p
from analysis.stats.paired import Paired, mid_p
from analysis.stats.verdict import Finding, Verdict, judge
from analysis.verdicts.quantization import quantization_changes
from analysis.verdicts.wording import verdict_sentence
from proctor.statistical_power import power_one_way, smallest_difference
from tests.panels import panel_of

counts = st.integers(0, 400)
pairs = st.builds(Paired, counts, counts, counts, counts).filter(lambda pair: pair.asked > 0)


@pytest.mark.parametrize(
    ("pair", "margin", "finding", "p", "within_p", "loss_bound"),
    [
        # mid-p: 2·P(X ≤ 100) - P(X = 100) of Binomial(400, .5); a loss of 3.3 points is no loss below 1
        (Paired(5000, 300, 100, 600), 0.01, Finding.WORSE, 0.0, 1.0, 0.0388),
        (Paired(5000, 100, 300, 600), 0.01, Finding.BETTER, 0.0, 0.001, -0.0279),
        # nothing lost of 302: within, since .99 ** 302 + .001 is below .05; of 300 not
        (Paired(200, 0, 0, 102), 0.01, Finding.WITHIN, 1.0, 0.99**302 + 0.001, 1 - 0.049 ** (1 / 302)),
        (Paired(200, 0, 0, 100), 0.01, Finding.CANNOT_TELL, 1.0, 0.99**300 + 0.001, 1 - 0.049 ** (1 / 300)),
        # six lost and none gained: mid-p is 1 / 2 ** 6, and a loss of 1 point is still possible
        (Paired(900, 6, 0, 94), 0.01, Finding.WORSE, 1 / 64, 0.1299, 0.0118),
        (Paired(900, 6, 0, 94), 0.02, Finding.WORSE_WITHIN, 1 / 64, 0.001, 0.0118),
        (Paired(60, 10, 8, 22), 0.01, Finding.CANNOT_TELL, 0.6476, 0.6176, 0.0941),
    ],
)
def test_a_verdict_by_hand(
    pair: Paired, margin: float, finding: Finding, p: float, within_p: float, loss_bound: float
) -> None:
    verdict = judge(pair, margin)
    assert verdict.finding is finding
    assert verdict.p == pytest.approx(p, abs=1e-4)
    assert verdict.within_p == pytest.approx(within_p, abs=1e-3)
    assert verdict.loss_bound == pytest.approx(loss_bound, abs=1e-4)


def within_region(asked: int, margin: float, most: int) -> list[int]:
    """How many lost, of 0 … `most` discordant questions, are still within; -1 for none."""
    found = []
    for discordant in range(most + 1):
        low, high = -1, discordant
        while low < high:
            middle = (low + high + 1) // 2
            within = within_p(Paired(asked - discordant, middle, discordant - middle, 0), margin) < 0.05
            low, high = (middle, high) if within else (low, middle - 1)
        found.append(low)
    return found


def chance_of(region: list[int], asked: int, loss: float, discordance: float) -> float:
    """How often a pair with this true loss and share of discordant questions falls into the region. Exact."""
    discordant = np.arange(len(region))
    share = (discordance + loss) / (2 * discordance)
    return float((binom.pmf(discordant, asked, discordance) * binom.cdf(region, discordant, share)).sum())


@pytest.mark.parametrize(("asked", "margin"), [(40, 0.1), (60, 0.05), (100, 0.05), (90, 0.02)])
def test_within_is_false_at_most_at_its_level_whatever_share_is_discordant(asked: int, margin: float) -> None:
    region = within_region(asked, margin, asked)
    rates = np.concatenate([np.linspace(margin, margin + 0.05, 101), np.linspace(margin + 0.05, 1.0, 60)])
    level = [chance_of(region, asked, margin, rate) for rate in rates]
    assert max(level) <= 0.05
    beyond = [chance_of(region, asked, 1.5 * margin, rate) for rate in np.linspace(1.5 * margin, 1.0, 60)]
    assert max(beyond) <= max(level)


def test_within_is_found_nearly_as_often_as_its_level_allows() -> None:
    region = within_region(300, 0.02, 60)
    assert max(chance_of(region, 300, 0.02, rate) for rate in np.linspace(0.02, 0.08, 61)) > 0.045
    old = [
        max((a for a in range(d + 1) if bonett_price(Paired(300 - d, a, d - a, 0), 0.90).low > -0.02), default=-1)
        for d in range(61)
    ]
    assert max(chance_of(old, 300, 0.02, rate) for rate in np.linspace(0.02, 0.08, 61)) > 0.07  # why there is this test
    assert chance_of(region, 300, 0.0, 0.02) > 0.67  # the asymptotic score test, which exceeds its level, has .682


def test_the_p_value_is_the_enumeration_of_tables_at_the_worst_discordance() -> None:
    asked, margin, seen = 12, 0.25, Paired(8, 1, 3, 0)
    at_least = [
        (a, b)
        for a in range(asked + 1)
        for b in range(asked + 1 - a)
        if score(np.array(a), np.array(b), asked, margin)
        >= score(np.array(seen.lost), np.array(seen.gained), asked, margin) - 1e-9
    ]

    def chance(discordance: float) -> float:
        lost, gained = (discordance + margin) / 2, (discordance - margin) / 2
        return sum(
            comb(asked, a) * comb(asked - a, b) * lost**a * gained**b * (1 - lost - gained) ** (asked - a - b)
            for a, b in at_least
        )

    low, high = beta.ppf(0.0005, 4, 9), beta.ppf(0.9995, 5, 8)  # Clopper and Pearson's for 4 of 12
    worst = max(chance(rate) for rate in np.linspace(max(low, margin), high, 4001))
    assert within_p(seen, margin) == pytest.approx(worst + 0.001, rel=2e-3)


def test_the_score_is_the_likeliest_rates_under_the_margin() -> None:
    lost, gained, asked, margin = 7, 4, 60, 0.1
    rates = np.linspace(1e-6, (1 - margin) / 2 - 1e-6, 200_001)
    likely = gained * np.log(rates) + lost * np.log(rates + margin)
    likely += (asked - lost - gained) * np.log(1 - margin - 2 * rates)
    q = rates[likely.argmax()]
    expected = (asked * margin - lost + gained) / (asked * (2 * q + margin * (1 - margin))) ** 0.5
    assert float(score(np.array(lost), np.array(gained), asked, margin)) == pytest.approx(expected, rel=1e-4)


def test_a_score_has_no_floor_for_its_error() -> None:
    none = np.array(0)
    assert float(score(none, none, 10, 0.01)) == pytest.approx(10 * 0.01 / (10 * 0.01 * 0.99) ** 0.5)
    assert float(score(none, none, 10, 0.0)) == 0.0


@settings(deadline=None, max_examples=30)
@given(pairs, st.floats(0.001, 0.2))
def test_within_holds_where_the_bound_of_the_loss_lies_below_the_margin(pair: Paired, margin: float) -> None:
    bound = loss_bound(pair)
    if abs(bound - margin) > 2e-5:
        assert (within_p(pair, margin) < 0.05) == (bound < margin)


@settings(deadline=None, max_examples=20)
@given(pairs)
def test_more_lost_is_a_larger_bound(pair: Paired) -> None:
    if pair.gained:
        worse = Paired(pair.both_right, pair.lost + 1, pair.gained - 1, pair.both_wrong)
        assert loss_bound(worse) > loss_bound(pair)


def test_a_bound_is_told_at_the_corners() -> None:
    assert loss_bound(Paired(0, 0, 0, 0)) == within_p(Paired(0, 0, 0, 0), 0.01) == 1.0
    assert loss_bound(Paired(0, 10, 0, 0)) == pytest.approx(1.0)
    assert within_p(Paired(0, 10, 0, 0), 1.0) == 1.0
    assert within_p(Paired(1, 9, 0, 0), 1.0) == 0.0
    assert loss_bound(Paired(0, 0, 10, 0)) == pytest.approx(-0.479, abs=1e-3)
    assert -1 < loss_bound(Paired(0, 0, 4000, 0)) < -0.99
    for impossible in (-1.0, 1.01):
        with pytest.raises(ValueError, match="no loss of accuracy that can be"):
            within_p(Paired(1, 1, 1, 1), impossible)


@settings(deadline=None, max_examples=50)
@given(pairs, st.floats(0.001, 0.1))
def test_a_wider_margin_never_makes_a_verdict_less_sure(pair: Paired, margin: float) -> None:
    sure = {Finding.WITHIN, Finding.WORSE_WITHIN}
    if judge(pair, margin).finding in sure:
        assert judge(pair, margin * 2).finding in sure


@pytest.mark.parametrize(
    ("p", "within", "finding"),
    [
        (0.049, 0.2, Finding.WORSE),
        (0.05, 0.2, Finding.CANNOT_TELL),
        (0.05, 0.049, Finding.WITHIN),
        (0.05, 0.05, Finding.CANNOT_TELL),
        (0.049, 0.049, Finding.WORSE_WITHIN),
    ],
)
def test_adjusted_p_values_take_the_place_of_the_pairs_own(p: float, within: float, finding: Finding) -> None:
    verdict = judge(Paired(5000, 90, 80, 600), 0.01, p, within)
    assert (verdict.finding, verdict.p, verdict.within_p) == (finding, p, within)


def test_the_verdicts_on_quantizations_are_adjusted_for_all_of_them() -> None:
    panel = panel_of(9, 4, 100, quants=("none", "8bit", "4bit"))
    changes = quantization_changes(panel, 0.05)
    own = sorted(within_p(change.verdict.pair, 0.05) for change in changes)
    assert len(changes) == 6
    adjusted = sorted(change.verdict.within_p for change in changes)
    assert adjusted[0] == pytest.approx(min(1.0, 6 * own[0]))
    assert adjusted[1] == pytest.approx(min(1.0, max(6 * own[0], 5 * own[1])))


def test_no_quantization_is_no_family() -> None:
    panel: Panel = panel_of(2, 2)
    assert quantization_changes(panel, 0.01) == []


def test_mid_p_and_the_interval_disagree_at_the_edge_only_and_it_is_known() -> None:
    """The interval is another reckoning than p: of all tables of 100 questions, where does it hold 0 or not?"""
    disputed = [
        verdict
        for discordant in range(101)
        for lost in range(discordant + 1)
        for verdict in (_judged_by_p(Paired(100 - discordant, lost, discordant - lost, 0)),)
        if verdict.disputed
    ]
    assert 0 < len(disputed) < 0.03 * 101 * 102 / 2
    assert all(0.013 < verdict.p < 0.09 for verdict in disputed)
    told = {verdict.differs for verdict in disputed}
    assert told == {True, False}
    assert judge(Paired(55, 5, 0, 0)).disputed  # p = .031, and the interval is -15.6 to +0.1 points
    assert not judge(Paired(40, 15, 5, 0)).disputed


def _judged_by_p(pair: Paired) -> Verdict:
    return judge(pair, within=1.0)


def test_fewer_than_five_discordant_questions_are_said_to_be_few() -> None:
    assert judge(Paired(60, 4, 0, 36)).few_discordant
    assert not judge(Paired(60, 5, 0, 35)).few_discordant
    assert Paired(60, 4, 0, 36).p > 0.05 > Paired(60, 5, 0, 35).p


def test_a_sentence_of_within_says_the_bound_that_it_rests_on() -> None:
    within = verdict_sentence("A", "B", judge(Paired(20000, 10, 12, 5000)))
    assert within.startswith("B loses less than 1 point against A: at most 0.02, one-sided 95 % (95 % interval ")
    both = verdict_sentence("A", "B", judge(Paired(900, 6, 0, 94), 0.02))
    assert both.startswith("B is worse than A, but by less than 2 points: at most 1.18, one-sided 95 % (")


@pytest.mark.parametrize(("asked", "lost"), [(100, 6), (1000, 7)])
def test_never_is_said_only_where_even_the_largest_difference_has_too_little_power(asked: int, lost: int) -> None:
    for questions in (asked, 2 * asked):
        for rate in np.linspace(0.5 * lost / asked, 1.5 * lost / asked, 30):
            discordant = np.arange(questions + 1)
            shown = mid_p(discordant, np.zeros_like(discordant)) < 0.05
            power = float(binom.pmf(discordant, questions, rate)[shown].sum())
            assert power_one_way(rate, questions) == pytest.approx(power, abs=1e-9)
            assert (smallest_difference(rate, questions) is None) == (power < 0.8)


def test_the_largest_difference_is_said_where_the_formula_exceeds_it() -> None:
    assert smallest_difference(0.07, 100) == 0.07  # 2.80·sqrt(.07/100) is .074; power at .07 is .84
    assert smallest_difference(0.06, 100) is None  # power .72
    assert smallest_difference(0.08, 100) == pytest.approx(2.80 * (0.08 / 100) ** 0.5)
    assert smallest_difference(0.5, 3) is None
