"""Metrics by name: what each says of one question, and how a set is summed up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from proctor.errors import BadExam
from proctor.exams.judging import choices, likelihoods, likenesses, sets, texts
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.ifeval import following
from proctor.exams.judging.libraries import check_installed
from proctor.exams.judging.maths import equivalence, hendrycks, minerva
from proctor.exams.judging.maths.answers import EXTRACTED
from proctor.exams.judging.sets import Summary
from proctor.exams.judging.worth import Item, Worth
from proctor.exams.tasks.form import Form, Kind, Metric
from proctor.nouns.exams import Question, Scored

OfScored = Callable[[Question, Scored, Reader], Worth]
T = TypeVar("T")
OfText = Callable[[Question, str, Reader], Worth]


@dataclass(frozen=True)
class Measure:
    """A metric of log-probabilities."""

    worth: OfScored
    summary: Summary = sets.mean


@dataclass(frozen=True)
class TextMeasure:
    """A metric of a text that a filter chain extracted."""

    worth: OfText
    summary: Summary = sets.mean
    takes: tuple[str, ...] = ()  # names of its arguments
    needs: tuple[str, ...] = ()  # modules of the extra


OF_CHOICES: Mapping[str, Measure] = {
    "acc": Measure(choices.acc),
    "acc_norm": Measure(choices.acc_norm),
    "acc_bytes": Measure(choices.acc_bytes),
    "exact_match": Measure(choices.exact_match),
    "mc2": Measure(choices.mc2),
    "f1": Measure(choices.pair, sets.f1),
    "weighted_f1": Measure(choices.pair, sets.weighted_f1),
    "macro_f1": Measure(choices.pair, sets.macro_f1),
    "three_label_f1": Measure(choices.pair, sets.three_label_f1),
    "micro_f1": Measure(choices.pair, sets.micro_f1),
    "mcc": Measure(choices.pair, sets.mcc),
}
OF_ONE_TEXT: Mapping[str, Measure] = {
    "acc": Measure(likelihoods.acc),
    "perplexity": Measure(likelihoods.perplexity, sets.perplexity),
}
OF_PAGES: Mapping[str, Measure] = {
    "word_perplexity": Measure(likelihoods.per_word, sets.weighted_perplexity),
    "byte_perplexity": Measure(likelihoods.per_byte, sets.weighted_perplexity),
    "bits_per_byte": Measure(likelihoods.per_byte, sets.bits),
}
_BLEU, _IFEVAL = ("sacrebleu",), ("langdetect", "nltk")
OF_TEXTS: Mapping[str, TextMeasure] = {
    "exact_match": TextMeasure(texts.exact_match, takes=texts.IGNORED),
    "contains": TextMeasure(texts.contains, takes=("ignore_case",)),
    "number": TextMeasure(texts.number),
    "f1": TextMeasure(texts.pair, sets.f1),
    "weighted_f1": TextMeasure(texts.pair, sets.weighted_f1),
    "macro_f1": TextMeasure(texts.pair, sets.macro_f1),
    "micro_f1": TextMeasure(texts.pair, sets.micro_f1),
    "mcc": TextMeasure(texts.pair, sets.mcc),
    "bleu": TextMeasure(likenesses.bleu, likenesses.corpus_bleu, needs=_BLEU),
    "chrf": TextMeasure(likenesses.chrf, likenesses.corpus_chrf, needs=_BLEU),
    "chrf++": TextMeasure(likenesses.chrf_with_words, likenesses.corpus_chrf_with_words, needs=_BLEU),
    "ter": TextMeasure(likenesses.ter, likenesses.corpus_ter, needs=_BLEU),
    **{
        f"{by}_{what}": TextMeasure(likenesses.truthful(by, what), needs=(*_BLEU, "rouge_score"))
        for by in ("bleu", "rouge1", "rouge2", "rougeL")
        for what in ("max", "acc", "diff")
    },
    "prompt_level_strict_acc": TextMeasure(following.of_prompt(loose=False), needs=_IFEVAL),
    "inst_level_strict_acc": TextMeasure(following.of_instructions(loose=False), sets.each_flag, needs=_IFEVAL),
    "prompt_level_loose_acc": TextMeasure(following.of_prompt(loose=True), needs=_IFEVAL),
    "inst_level_loose_acc": TextMeasure(following.of_instructions(loose=True), sets.each_flag, needs=_IFEVAL),
    "hendrycks_math": TextMeasure(hendrycks.hendrycks_math, takes=(EXTRACTED,)),
    "minerva_math": TextMeasure(minerva.minerva_math, takes=(EXTRACTED,), needs=equivalence.MODULES),
    "math_verify": TextMeasure(minerva.math_verify, needs=equivalence.MODULES),
}
OF_PROGRAMS = frozenset({"pass_at_1", "pass_at_k"})  # known once they have run: `proctor.exams.judging.programs`
OF_JUDGES = frozenset({"judged"})  # known once a judge has said: `proctor.exams.judges`
KNOWN_LATER = OF_PROGRAMS | OF_JUDGES
_OF_SCORED: Mapping[Kind, Mapping[str, Measure]] = {
    Kind.CHOOSE: OF_CHOICES,
    Kind.LOGLIKELIHOOD: OF_ONE_TEXT,
    Kind.ROLLING: OF_PAGES,
}
SUMMARIES: Mapping[str, Summary] = {
    "median": sets.median,
    "perplexity": sets.perplexity,
    "weighted_perplexity": sets.weighted_perplexity,
    "bits_per_byte": sets.bits,
    "f1": sets.f1,
    "matthews_corrcoef": sets.mcc,
}
FUNCTION = "function"  # the argument by which a figure of one name is computed as another: TruthfulQA's `acc` as `mc2`


def is_open(form: Form) -> bool:
    """Whether a judge alone can tell what an answer is worth."""
    return form.headline.metric in OF_JUDGES


def of_scored(kind: Kind, metric: Metric, question: Question, reply: Scored) -> Worth:
    """What log-probabilities are worth. Raises `BadExam` for a metric that isn't one of this kind."""
    reader = Reader(f"The metric {metric.name}", metric.arguments)
    return _measure(_OF_SCORED[kind], metric).worth(question, reply, reader)


def of_text(metric: Metric, question: Question, text: str) -> Worth:
    """What an extracted text is worth. Raises `BadExam` for an unknown metric or argument."""
    reader = Reader(f"The metric {metric.name}", metric.arguments)
    reader.text(FUNCTION, "")
    worth = _measure(OF_TEXTS, metric).worth(question, text, reader)
    reader.check_all_read()
    return worth


def summed_up(kind: Kind, metric: Metric, items: Sequence[Item]) -> float:
    """The figure of a set, by the metric's own summary or the aggregation that its task names; `items` as of `Worth`.

    Raises `BadExam` for no items, for an unknown metric, and for an unknown aggregation.
    """
    own = summary_of(kind, metric)
    if not items:
        raise BadExam(f"{metric.name} of no questions.")
    return own(items)


def summary_of(kind: Kind, metric: Metric) -> Summary:
    """How a metric is summed up. Raises as `summed_up`."""
    if kind is Kind.WRITE and metric.name in KNOWN_LATER:
        return sets.mean
    own = _measure(OF_TEXTS, metric) if kind is Kind.WRITE else _measure(_OF_SCORED[kind], metric)
    if own.summary is not sets.mean or metric.aggregation == "mean":
        return own.summary
    if metric.aggregation not in SUMMARIES:
        raise BadExam(
            f"{metric.name} is to be summed up by {metric.aggregation!r}, which isn't known.",
            f"There are mean, {', '.join(sorted(SUMMARIES))}.",
        )
    return SUMMARIES[metric.aggregation]


def set_figure(kind: Kind, metric: Metric) -> str:
    """The name of what a set has together and no question alone (F1, BLEU, …); "" for a mean or a perplexity."""
    name = str(metric.arguments.get(FUNCTION, metric.name))
    of_set = (choices.pair, texts.pair, likenesses.bleu, likenesses.chrf, likenesses.chrf_with_words, likenesses.ter)
    table: Mapping[str, Measure | TextMeasure] = OF_TEXTS if kind is Kind.WRITE else _OF_SCORED[kind]
    return name if name in table and table[name].worth in of_set else ""


def check(kind: Kind, metric: Metric) -> None:
    """Raise `BadExam` for an unknown metric, aggregation or argument, and `BadInput` for a library that isn't there."""
    summary_of(kind, metric)
    if kind is not Kind.WRITE or metric.name in KNOWN_LATER:
        return
    measure = _measure(OF_TEXTS, metric)
    if unknown := sorted(set(metric.arguments) - {FUNCTION, *measure.takes}):
        raise BadExam(f"The metric {metric.name} knows no argument {', '.join(unknown)}.", "Mend the task's file.")
    for module in measure.needs:
        check_installed(module)
    if "regexes_to_ignore" in measure.takes:
        Reader(f"The metric {metric.name}", metric.arguments, probes=True).patterns("regexes_to_ignore")
    if measure.takes:  # of which the values are read when it is computed
        of_text(metric, Question("", 0, "", reference="-"), "")


def _measure(table: Mapping[str, T], metric: Metric) -> T:
    name = str(metric.arguments.get(FUNCTION, metric.name))
    if name not in table:
        raise BadExam(f"No metric is called {name!r} for this kind.", f"There are {', '.join(sorted(table))}.")
    return table[name]
