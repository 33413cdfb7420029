"""Filters and metrics of a task file by their names there, as a form has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from proctor.errors import BadExam
from proctor.exams.judging.metrics import FUNCTION
from proctor.exams.reading.problems import shown
from proctor.exams.tasks.definition import Column, Judging
from proctor.exams.tasks.form import NO_FILTER, Chain, Kind, Metric, Step
from proctor.exams.tasks.keys import Keys
from proctor.exams.tasks.pieces import OWN, Results
from proctor.exams.tasks.task_files import Reference

DEFAULTS = {  # where a file names no metric
    Kind.CHOOSE: ("acc", "acc_norm"),
    Kind.WRITE: ("exact_match",),
    Kind.LOGLIKELIHOOD: ("perplexity", "acc"),
    Kind.ROLLING: ("word_perplexity", "byte_perplexity", "bits_per_byte"),
}
LOWER = frozenset({"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "ter"})  # the lower, the better
_APART = frozenset({"metric", "aggregation", "higher_is_better"})  # what isn't an argument of a metric


def read_judging(keys: Keys, kind: Kind) -> Judging:
    """How a task's replies are judged. Raises `BadExam` for what can't be read."""
    results = None
    if keys.config.get("process_results") is not None:
        results = keys.piece("process_results", keys.config["process_results"], lambda piece: piece.results)
    named = keys.listed("metric_list")
    entries = [{"metric": name} for name in DEFAULTS[kind]] if named is None else named
    metrics = [_metric(keys, kind, entry, results) for entry in entries]
    chains = keys.listed("filter_list")
    return Judging(
        tuple(metric for metric in metrics if metric),
        (NO_FILTER,) if chains is None else tuple(_chain(keys, chain) for chain in chains),
        keys.count("repeats") or 1,
        reference=results.reference if results else _reference(keys, entries),
        right=results.right if results else None,
    )


def _metric(keys: Keys, kind: Kind, entry: object, results: Results | None) -> Metric | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("metric"), str | Reference):
        raise keys.bad("metric_list", "a list of mappings with the key `metric` is needed")
    name, how = entry["metric"], entry.get("aggregation")
    arguments: dict[str, object] = {}
    if kind is Kind.WRITE and not results:  # the other kinds' metrics are given no arguments
        arguments = {key: value for key, value in entry.items() if key not in _APART}
        if arguments.pop("hf_evaluate", False) and name != "exact_match":
            raise BadExam(f"{keys.name!r} wants {shown(name)} of another library, which isn't read.")
    if isinstance(name, Reference):
        piece = keys.piece("metric_list", name, lambda piece: piece.metric)
        name = piece or name.name.rpartition(".")[2]
    if results:
        if name not in results.metrics:
            raise BadExam(f"{keys.name!r} has a metric that our piece doesn't compute: {name!r}.")
        arguments |= _other(name, results.metrics[name])
    if isinstance(how, Reference):
        piece = keys.piece("metric_list", how, lambda piece: piece.aggregation)
        arguments |= _other(name, name if piece in {None, OWN} else str(piece))
        how = "mean"
    if how is not None and not isinstance(how, str):
        raise keys.bad("metric_list", "an aggregation by name is needed")
    return Metric(name, arguments, "", how or "mean", bool(entry.get("higher_is_better", name not in LOWER)))


def _reference(keys: Keys, entries: Sequence[object]) -> Column | None:
    """What a metric by a piece of ours needs of a row; None where none needs more than the target."""
    pieces = [keys.known(entry["metric"]) for entry in entries if isinstance(entry, Mapping) and "metric" in entry]
    return next((piece.reference for piece in pieces if piece and piece.reference), None)


def _other(name: str, function: str) -> dict[str, object]:
    return {} if function == name else {FUNCTION: function}


def _chain(keys: Keys, chain: object) -> Chain:
    if not isinstance(chain, Mapping) or set(chain) != {"name", "filter"} or not isinstance(chain["filter"], list):
        raise keys.bad("filter_list", "a list of mappings with `name` and `filter` is needed")
    return Chain(str(chain["name"]), tuple(_step(keys, step) for step in chain["filter"]))


def _step(keys: Keys, step: object) -> Step:
    if not isinstance(step, Mapping) or not isinstance(step.get("function"), str | Reference):
        raise keys.bad("filter_list", "filters with the key `function` are needed")
    arguments = {key: value for key, value in step.items() if key != "function"}
    function = arguments.pop("filter_fn", None) if step["function"] == "custom" else step["function"]
    if isinstance(function, Reference):
        return Step(keys.piece("filter_list", function, lambda piece: piece.step) or "", arguments)
    return Step(str(function), arguments)
