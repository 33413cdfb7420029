"""How often the intervals and verdicts are right, by simulation: a JSON line each.

    python -m bench.simulate_statistics [--draws 20000] [--seed 1]

Coverage of the Wilson interval beside Wald's; coverage of the Bonett-Price interval; false "better or worse" of mid-p
McNemar beside the exact test, and its power; false "within" at the margin; false claims of a family after Holm; false
orders of subjects, cells and pairs; of points between 0 and 1 the coverage of both intervals, false "better or worse"
and false "within".
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.stats.families import ALPHA, holm
from analysis.stats.intervals import bonett_price, critical_z, wilson
from analysis.stats.noninferiority import score, within_p
from analysis.stats.order import beyond_median_pair, cell_p, group_p
from analysis.stats.overlap import discordant_counts
from analysis.stats.paired import Paired, mid_p
from analysis.stats.points import change_interval, lost_within_p, mean_points, pair_marks
from analysis.stats.verdict import judge

Generator = np.random.Generator


def say(name: str, **figures: float) -> None:
    print(json.dumps({"bench": name, **{key: round(value, 4) for key, value in figures.items()}}))


def coverage_of_proportion(rng: Generator, draws: int, asked: int, truth: float) -> None:
    right = rng.binomial(asked, truth, draws)
    ours = [wilson(k, asked) for k in range(asked + 1)]
    held = np.array([one.low <= truth <= one.high for one in ours])
    share = right / asked
    half = 1.96 * np.sqrt(share * (1 - share) / asked)
    say("wilson", asked=asked, truth=truth, covers=held[right].mean(), wald=(np.abs(share - truth) <= half).mean())


def pairs(rng: Generator, draws: int, asked: int, lost: float, gained: float) -> NDArray[np.int64]:
    """(draws, 2) counts of lost and gained."""
    return np.asarray(rng.multinomial(asked, [lost, gained, 1 - lost - gained], draws)[:, :2])


def coverage_of_change(rng: Generator, draws: int, asked: int, lost: float, gained: float) -> None:
    held = 0
    for a, b in pairs(rng, draws, asked, lost, gained).tolist():
        interval = bonett_price(Paired(asked - a - b, a, b, 0))
        held += interval.low <= gained - lost <= interval.high
    say("bonett_price", asked=asked, lost=lost, gained=gained, covers=held / draws)


def level_and_power(rng: Generator, draws: int, asked: int, lost: float, gained: float) -> None:
    from scipy.stats import binomtest

    counts = pairs(rng, draws, asked, lost, gained)
    ours = (mid_p(counts[:, 0], counts[:, 1]) < 0.05).mean()
    seen, times = np.unique(counts, axis=0, return_counts=True)
    exact = [binomtest(a, a + b).pvalue < 0.05 if a + b else False for a, b in seen.tolist()]
    say("mcnemar", asked=asked, lost=lost, gained=gained, mid_p=ours, exact=float(np.average(exact, weights=times)))


Rule = Callable[[Paired, float], bool]


def exact(pair: Paired, margin: float) -> bool:
    return within_p(pair, margin) < ALPHA


def adjusted_wald(pair: Paired, margin: float) -> bool:
    """The upper end of the loss's 90 % Bonett-Price interval."""
    return -bonett_price(pair, level=0.90).low < margin


def asymptotic(pair: Paired, margin: float) -> bool:
    """Tango's score test by the normal distribution."""
    return float(score(np.array(pair.lost), np.array(pair.gained), pair.asked, margin)) > critical_z(0.90)


def within(rule: Rule, asked: int, margin: float, discordant: Iterable[int]) -> NDArray[np.int64]:
    """How many lost are still within, for each number of discordant questions; -1 for none."""
    found = []
    for count in discordant:
        low, high = -1, count
        while low < high:
            middle = (low + high + 1) // 2
            pair = Paired(asked - count, middle, count - middle, 0)
            low, high = (middle, high) if rule(pair, margin) else (low, middle - 1)
        found.append(low)
    return np.array(found)


def false_within(asked: int, margin: float, rates: NDArray[np.float64]) -> None:
    """The true loss is the margin itself, so that "within" would be false: the worst of these discordances, exactly."""
    from scipy.stats import binom

    low, high = (int(binom.ppf(tail, asked, rate)) for tail, rate in ((1e-9, rates.min()), (1 - 1e-9, rates.max())))
    discordant = np.arange(low, high + 1)
    weight = binom.pmf(discordant, asked, rates[:, None])  # (R, D)
    worst, found = {}, {}
    for rule in (exact, adjusted_wald, asymptotic):
        most = within(rule, asked, margin, discordant.tolist())
        lost_share = (rates[:, None] + margin) / (2 * rates[:, None])
        worst[rule.__name__] = float((weight * binom.cdf(most, discordant, lost_share)).sum(axis=1).max())
        found[f"{rule.__name__}_finds"] = float((weight[-1] * binom.cdf(most, discordant, 0.5)).sum())
    say("false_within", asked=asked, margin=margin, discordance_from=rates.min(), to=rates.max(), **worst, **found)


def disagreements(asked: int) -> None:
    """Of all tables of so many questions, those on which the interval holds 0 and p is below .05, or neither."""
    pairs = [Paired(asked - d, a, d - a, 0) for d in range(asked + 1) for a in range(d + 1)]
    disputed = [one for one in (judge(pair, within=1.0) for pair in pairs) if one.disputed]
    least, most = min(one.p for one in disputed), max(one.p for one in disputed)
    say("disagreements", asked=asked, tables=len(pairs), disputed=len(disputed), p_from=least, p_to=most)


def family_error(rng: Generator, draws: int, models: int, asked: int) -> None:
    """All models are equally good on questions of unequal difficulty: every claim is false."""
    first, second = np.triu_indices(models, 1)
    claims = plain = 0
    for _ in range(draws):
        wrong = rng.random((models, asked)) < rng.beta(1, 2, asked)
        lost = discordant_counts(wrong)
        p = mid_p(lost[first, second], lost[second, first])
        claims += bool((holm(p) < 0.05).any())
        plain += bool((p < 0.05).any())
    say("holm", models=models, asked=asked, any_false_claim=claims / draws, without_holm=plain / draws,
        standard_error=sqrt(0.05 * 0.95 / draws))  # fmt: skip


def order_error(rng: Generator, draws: int, subjects: int, asked: int, contestants: int) -> None:
    """Subjects are equally hard, contestants equally good: every order of subjects, cells or pairs is false."""
    group = np.repeat(np.arange(subjects), asked)
    harder = cells = pair = 0
    for seed in range(draws):
        right = rng.random((contestants, group.size)) < rng.beta(2, 1, group.size)
        share = right.mean(axis=0)
        harder += bool((group_p(share, group, 199, seed) < 0.05).any())
        cells += bool((cell_p(right - share, group, 199, seed) < 0.05).any())
        pair += beyond_median_pair(~right)
    say("order", subjects=subjects, asked=asked, contestants=contestants, any_subject=harder / draws,
        any_cell=cells / draws, a_pair=pair / draws, standard_error=sqrt(0.05 * 0.95 / draws))  # fmt: skip


def points(rng: Generator, draws: int, asked: int, lift: float) -> None:
    """Tenths of a point, as a judge gives them; the second contestant has `lift` more a question, but for the ends.

    A question's difficulty is shared. "Within" is asked at the true loss of the first against the second.
    """
    ease = rng.normal(0.6, 0.2, (draws, asked, 1))
    own = rng.normal(0, 0.15, (draws, asked, 2)) + np.array([0.0, lift])
    marks = np.round(np.clip(ease + own, 0, 1), 1)
    first, change = float(marks[..., 0].mean()), float((marks[..., 1] - marks[..., 0]).mean())
    mean = held = told = within = 0
    for each in marks:
        interval = mean_points(each[:, 0])
        mean += interval.low <= first <= interval.high
        pair = pair_marks(each[:, 0], each[:, 1])
        interval = change_interval(pair)
        held += interval.low <= change <= interval.high
        told += pair.p < ALPHA
        within += lost_within_p(pair.turned(), change) < ALPHA
    say("points", asked=asked, lift=lift, mean_covers=mean / draws, change_covers=held / draws,
        better_or_worse=told / draws, false_within=within / draws)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, draws = np.random.default_rng(arguments.seed), arguments.draws
    for asked, truth in ((100, 0.95), (100, 0.25), (40, 0.5), (1000, 0.8)):
        coverage_of_proportion(rng, draws, asked, truth)
    for asked, lost, gained in ((100, 0.05, 0.05), (100, 0.15, 0.05), (1000, 0.04, 0.02), (4000, 0.05, 0.05)):
        coverage_of_change(rng, draws, asked, lost, gained)
    for asked, lost, gained in ((100, 0.05, 0.05), (400, 0.05, 0.05), (400, 0.08, 0.03), (1000, 0.06, 0.03)):
        level_and_power(rng, draws, asked, lost, gained)
    for asked, margin in ((75, 0.05), (191, 0.02), (383, 0.01), (1000, 0.01), (4000, 0.01)):
        false_within(asked, margin, np.linspace(margin, 3 * margin, 101))
    for asked, rate in ((1000, 0.1), (4000, 0.1), (14_000, 0.1), (14_000, 0.05)):
        false_within(asked, 0.01, np.array([rate]))
    for asked, lift in ((20, 0.0), (80, 0.0), (80, 0.05), (500, 0.0)):
        points(np.random.default_rng([arguments.seed, asked]), draws // 4, asked, lift)
    disagreements(100)
    family_error(rng, draws // 20, 14, 1000)
    orders = np.random.default_rng(arguments.seed)
    for subjects, asked, contestants in ((6, 20, 5), (20, 50, 5)):
        order_error(orders, draws // 20, subjects, asked, contestants)


if __name__ == "__main__":
    main()
