"""What the figures say, in words: the titles of the graphs and the sentences of the report."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from analysis.data.panel import Panel
from analysis.data.phrases import counted, listed
from analysis.stats.intervals import AgainstChance, Interval, wilson
from analysis.stats.verdict import Finding, Verdict
from analysis.verdicts.standings import Standings
from analysis.verdicts.unanswered import NOTABLE, named, silent_shares, silent_words


def percent(fraction: float, digits: int = 1) -> str:
    """`86.5 %`; a dash for what isn't known."""
    return "–" if isnan(fraction) else f"{100 * fraction:.{digits}f} %"


def points(fraction: float, digits: int = 1) -> str:
    """A signed difference in percentage points: `+1.2` or `−0.4`, with the true minus sign."""
    return f"{100 * fraction:+.{digits}f}".replace("-", "−")


def margin_words(margin: float) -> str:
    """`1 point`, `2.5 points`"""
    return f"{100 * margin:g} point{'' if round(100 * margin, 9) == 1 else 's'}"


def span(interval: Interval, digits: int = 1) -> str:
    """`84.2 to 87.5 %`"""
    return f"{100 * interval.low:.{digits}f} to {100 * interval.high:.{digits}f} %"


def with_span(interval: Interval) -> str:
    """`86.0 % (84.2 to 87.5)`"""
    return f"{percent(interval.estimate)} ({span(interval).removesuffix(' %')})"


def share_words(panel: Panel, fraction: float) -> str:
    """`61.2 % right`, or `61.2 % of the points` where there are parts of one."""
    return f"{percent(fraction)} {unit_words(panel)}"


def unit_words(panel: Panel) -> str:
    """What a percentage is of, for behind it."""
    return "of the points" if panel.graded else "right"


def standing_title(panel: Panel, standings: Standings) -> str:
    """The finding about who is best, or that nobody can be told from chance."""
    names, guess = [named(panel, place) for place in range(len(panel.labels))], percent(panel.chance, 0)
    best = standings.order[0]
    accuracy = panel.accuracies[best]
    if all(where is not AgainstChance.ABOVE for where in standings.against_chance):
        return _no_better_than_guessing(names, standings, guess)
    if len(names) == 1:
        has = f"{names[0]} has {share_words(panel, accuracy.estimate)}"
        return has if isnan(panel.chance) else f"{has}, above the {guess} of blind guessing"
    leaders = standings.leaders()
    if len(leaders) == 1:
        ahead = f"{names[best]} is ahead of all others, with {share_words(panel, accuracy.estimate)}"
        return f"{ahead}{_by_silence(panel, standings)}"
    if len(leaders) == len(names):
        who = "The two can't" if len(names) == 2 else f"No two of the {len(names)} can"
        return f"{who} be told apart: {_range(panel, leaders)} {unit_words(panel)}"
    level = listed([names[place] for place in standings.level])
    others = listed([names[place] for place in leaders if place not in standings.level], most=2)
    lead = (
        f"{level} {'leads' if len(standings.level) == 1 else 'are level at the top'} with {percent(accuracy.estimate)}"
    )
    apart = f", not told apart from {others}" if others else ", ahead of all others"
    return f"{lead}{apart}{_by_silence(panel, standings)}"


def _no_better_than_guessing(names: Sequence[str], standings: Standings, guess: str) -> str:
    below = AgainstChance.BELOW in standings.against_chance
    if len(names) == 1:
        return f"{names[0]} {'is below' if below else 'cannot be told from'} blind guessing ({guess})"
    return f"None of the {len(names)} {'is above' if below else 'can be told from'} blind guessing ({guess})"


def chance_sentences(panel: Panel, standings: Standings) -> list[str]:
    """One sentence for those at chance and one for those below it; none where everyone is above."""
    sentences = []
    for where, words in (
        (AgainstChance.AT, "at chance: not told from"),
        (AgainstChance.BELOW, "below chance: under"),
    ):
        places = [place for place in standings.order if standings.against_chance[place] is where]
        if places:
            who = [
                f"{panel.labels[place]} ({span(panel.accuracies[place])}{_answered(panel, place)})" for place in places
            ]
            be = "is" if len(places) == 1 else "are"
            family = f" (Holm over {len(panel.labels)} contestants)" if len(panel.labels) > 1 else ""
            guess = f"the {percent(panel.chance, 0)} of blind guessing{family}"
            sentences.append(f"{listed(who, most=8)} {be} {words} {guess}.")
    return sentences


def _by_silence(panel: Panel, standings: Standings) -> str:
    """Of whom the first is ahead only by questions without a single answer, for behind a sentence."""
    best, *others = standings.order
    silent = [panel.labels[place] for place in others if standings.silent[best, place]]
    return f"; of {listed(silent, most=2)} only by questions without a single answer" if silent else ""


def _answered(panel: Panel, place: int) -> str:
    """How much of what it answered a contestant has right, where its accuracy rests on what it didn't."""
    share = float(silent_shares(panel)[place])
    if share < NOTABLE:
        return ""
    asked, right = int(panel.asked[place].sum()), int((panel.correct & panel.asked)[place].sum())
    answered = asked - int(panel.unanswered[place])
    of_these = f"; {span(wilson(right, answered))} of what it answered" if answered and not panel.graded else ""
    return f", {silent_words(share)}{of_these}"


def silence_sentences(panel: Panel) -> list[str]:
    """Whose place rests on questions without a single answer, the most first; none where nobody's does."""
    shares = silent_shares(panel)
    places = [place for place in np.argsort(-shares, kind="stable").tolist() if shares[place] >= NOTABLE]
    who = [
        f"{panel.labels[place]} on {int(panel.unanswered[place]):,} of {int(panel.asked[place].sum()):,} questions "
        f"({100 * shares[place]:.0f} %)"
        for place in places
    ]
    rest = "its accuracy and every comparison with it rest" if len(who) == 1 else "such accuracies and comparisons rest"
    return [f"No single answer came from {listed(who)}: these count as not right, and {rest} on them."] if who else []


def verdict_words(verdict: Verdict) -> str:
    """The verdict in a few words, for a table's cell."""
    margin = f"{100 * verdict.margin:g} pt"
    words = {
        Finding.BETTER: "better",
        Finding.WORSE: "worse",
        Finding.WITHIN: f"within {margin}",
        Finding.WORSE_WITHIN: f"worse, but within {margin}",
        Finding.CANNOT_TELL: f"cannot tell ({verdict.questions_needed:,} questions would)",
    }
    return words[verdict.finding]


def verdict_sentence(first: str, second: str, verdict: Verdict) -> str:
    """The verdict on `second`, seen from `first`, as one sentence."""
    change, margin = abs(100 * verdict.change.estimate), margin_words(verdict.margin)
    bounds = f"95 % interval {points(verdict.change.low)} to {points(verdict.change.high)} points"
    match verdict.finding:
        case Finding.BETTER:
            return f"{second} is better than {first} by {change:.1f} points ({bounds})."
        case Finding.WORSE:
            return f"{second} is worse than {first} by {change:.1f} points ({bounds})."
        case Finding.WITHIN:
            return f"{second} loses less than {margin} against {first}: {_at_most(verdict)} ({bounds})."
        case Finding.WORSE_WITHIN:
            return f"{second} is worse than {first}, but by less than {margin}: {_at_most(verdict)} ({bounds})."
        case Finding.CANNOT_TELL:
            few = (
                f"only {counted(verdict.pair.discordant, 'question')} told them apart; "
                if verdict.few_discordant
                else ""
            )
            needed = f"{few}about {verdict.questions_needed:,} questions would show a difference of {margin}"
            return f"It cannot be told whether {second} or {first} is better ({bounds}; {needed})."


def _at_most(verdict: Verdict) -> str:
    return f"at most {points(verdict.loss_bound, 2).lstrip('+')}, one-sided 95 %"


def _range(panel: Panel, places: Sequence[int]) -> str:
    values = [panel.accuracies[place].estimate for place in places]
    low, high = percent(min(values)), percent(max(values))
    return low if low == high else f"{low} to {high}"
