"""How a set of questions is summed up, from what each is worth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from proctor.exams.judging.worth import Item

Label = float | str
Pair = tuple[Label, Label]  # right, given


def mean(items: Sequence[Item]) -> float:
    """The arithmetic mean."""
    return sum(_number(item) for item in items) / len(items)


def each_flag(items: Sequence[Item]) -> float:
    """The share of True among all flags of all questions: IFEval's figures by instruction."""
    flags = [flag for item in items if isinstance(item, tuple) for flag in item]
    return sum(map(bool, flags)) / len(flags)


def perplexity(items: Sequence[Item]) -> float:
    """exp of minus the mean log-probability."""
    return _exp(-mean(items))


def weighted_perplexity(items: Sequence[Item]) -> float:
    """exp of minus the log-probabilities' sum per word, or per byte."""
    return _exp(-_per_unit(items))


def bits(items: Sequence[Item]) -> float:
    """Minus the log-probabilities' sum per byte, to the base of 2."""
    return -_per_unit(items) / math.log(2)


def f1(items: Sequence[Item]) -> float:
    """F1 of the label 1 among two; 0 where nobody has it, right or given."""
    return _f1_of(_pairs(items), 1.0)


def weighted_f1(items: Sequence[Item]) -> float:
    """The mean of the labels' F1, each weighted by how often it is right."""
    pairs = _pairs(items)
    often = Counter(right for right, _ in pairs)
    return sum(count * _f1_of(pairs, label) for label, count in often.items()) / len(pairs)


def macro_f1(items: Sequence[Item]) -> float:
    """The mean of the labels' F1, over all labels that occur, right or given."""
    pairs = _pairs(items)
    labels = {label for pair in pairs for label in pair}
    return sum(_f1_of(pairs, label) for label in labels) / len(labels)


def three_label_f1(items: Sequence[Item]) -> float:
    """The mean of the F1 of the labels 0, 1 and 2, of those that don't occur as 0: CommitmentBank's."""
    pairs = _pairs(items)
    return sum(_f1_of(pairs, label) for label in (0.0, 1.0, 2.0)) / 3


def micro_f1(items: Sequence[Item]) -> float:
    """F1 of all labels together: where each question has one label, the share that is right."""
    pairs = _pairs(items)
    return sum(right == given for right, given in pairs) / len(pairs)


def mcc(items: Sequence[Item]) -> float:
    """Matthews' correlation coefficient, for any number of labels (Gorodkin 2004); 0 where a side has one alone."""
    pairs = _pairs(items)
    n, hits = len(pairs), sum(right == given for right, given in pairs)
    rights, givens = Counter(right for right, _ in pairs), Counter(given for _, given in pairs)
    shared = sum(count * givens[label] for label, count in rights.items())
    spread_right = n * n - sum(count * count for count in rights.values())
    spread_given = n * n - sum(count * count for count in givens.values())
    if not spread_right or not spread_given:
        return 0.0
    return (n * hits - shared) / math.sqrt(spread_right * spread_given)


def median(items: Sequence[Item]) -> float:
    """The upper median."""
    return sorted(_number(item) for item in items)[len(items) // 2]


def _f1_of(pairs: Sequence[Pair], label: Label) -> float:
    both = sum(right == given == label for right, given in pairs)
    either = sum((right == label) + (given == label) for right, given in pairs)
    return 2 * both / either if either else 0.0


def _per_unit(items: Sequence[Item]) -> float:
    pairs = [(float(one), float(other)) for one, other in _pairs(items)]
    units = sum(count for _, count in pairs)
    return sum(logprob for logprob, _ in pairs) / units


def _pairs(items: Sequence[Item]) -> list[Pair]:
    return [(item[0], item[1]) for item in items if isinstance(item, tuple) and len(item) == 2]


def _number(item: Item) -> float:
    if isinstance(item, tuple):
        raise TypeError(f"{item!r} is no figure of its own.")
    return float(item)


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


Summary = Callable[[Sequence[Item]], float]
