"""How the questions of an exam are put and judged, as plain data that stands beside them. Pure.

A Form is what is left of a task once every template is rendered: kind of request, delimiters, settings of generation,
filter chains and metrics by name. `Exam.form` holds it as canonical JSON, so that whoever asks and marks needs nothing
else. Names and arguments of filters and metrics are those of lm-evaluation-harness 0.4.13, or of pieces of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import lru_cache
from types import UnionType
from typing import Any, TypeVar, get_type_hints

from proctor.errors import BadExam

Arguments = Mapping[str, object]  # values as JSON has them
T = TypeVar("T")


class Kind(StrEnum):
    """What a model is asked for."""

    CHOOSE = "choose"  # log-probabilities of options
    WRITE = "write"  # a text
    LOGLIKELIHOOD = "loglikelihood"  # the log-probability of one text, and whether it is the likeliest
    ROLLING = "rolling"  # the log-probability of a whole text, in windows


@dataclass(frozen=True)
class Step:
    """One filter of a chain: `Step("regex", {"regex_pattern": "…", "group_select": -1})`."""

    function: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True)
class Chain:
    """Filters that a reply goes through, in order; the name is that of its results (`strict-match`)."""

    name: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Metric:
    """One figure. `arguments` are its own (`ignore_case`), without aggregation and direction."""

    name: str
    arguments: Arguments = field(default_factory=dict)
    chain: str = ""  # the one that it is computed on; "": each
    aggregation: str = "mean"
    higher_is_better: bool = True


@dataclass(frozen=True)
class Headline:
    """Which metric on which chain is the points of a Mark."""

    metric: str
    chain: str


@dataclass(frozen=True)
class Source:
    """Where a form comes from: what its identity is made of, beside the form itself."""

    task: str = ""  # the task's name
    version: str = ""  # of the task, as its file says
    release: str = ""  # that it is compared with: "lm_eval 0.4.13"; "": none
    sha256: str = ""  # of the task file with all that it includes, 64 hex digits; "": built in
    data: str = ""  # data set on the hub, or ""
    config: str = ""  # of the data set
    revision: str = ""  # commit of the data set, or ""
    seed: int = 1234  # of the draw of shots


NO_FILTER = Chain("none", (Step("take_first"),))  # what stands where a task names no chain


@dataclass(frozen=True)
class Form:
    """The parts of a task that are alike for all its questions."""

    kind: Kind
    metrics: tuple[Metric, ...]
    headline: Headline
    description: str = ""  # before all else; the system's message in a chat
    target_delimiter: str = " "  # before an option that is scored
    shot_delimiter: str = " "  # between a shot's text and its answer
    fewshot_delimiter: str = "\n\n"  # behind a shot
    chat_delimiter: str = ""  # before an option that is scored in a chat
    chains: tuple[Chain, ...] = (NO_FILTER,)
    until: tuple[str, ...] = ()  # stop strings; a reply is cut by one after the other, in this order
    max_tokens: int = 256
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    top_k: int = 0
    think_end: str = ""  # what is behind its last occurrence is the reply; "": the whole is
    repeats: int = 1  # replies to a question
    source: Source = Source()
    chat: bool = False  # always put as a chat: it is a conversation

    def __post_init__(self) -> None:
        names = [chain.name for chain in self.chains]
        if len(set(names)) < len(names):
            raise BadExam(f"Two filter chains of {self.source.task!r} have one name: {', '.join(names)}.")
        if self.headline.chain not in names:
            raise BadExam(f"The headline of {self.source.task!r} names no filter chain: {self.headline.chain!r}.")
        if self.headline.metric not in [metric.name for metric in self.metrics]:
            raise BadExam(f"The headline of {self.source.task!r} names no metric: {self.headline.metric!r}.")
        if self.max_tokens < 1 or self.repeats < 1:
            raise BadExam(f"{self.source.task!r} wants {self.repeats} replies of {self.max_tokens} tokens.")

    def json(self) -> str:
        """Canonical JSON: keys sorted, no white space between; the same form is the same text.

        What came later goes unsaid where it isn't asked for: forms keep the text, and exams the hash, that they had.
        """
        said = asdict(self)
        if not self.chat:
            del said["chat"]
        return json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=64)
def read_form(text: str) -> Form:
    """The form that `Form.json` wrote. Raises `BadExam` for keys unknown or missing, and other types."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadExam(f"A form that is no JSON ({error}).", _OTHER) from error
    return _made(Form, value, "form")


_OTHER = "Use the release that the sweep was submitted with."


def _made(kind: type[T], value: object, place: str) -> T:
    if not isinstance(value, dict):
        raise BadExam(f"In a form, {place} is a {type(value).__name__}.", _OTHER)
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # each is a dataclass
    if unknown := sorted(set(value) - known):
        raise BadExam(f"In a form, {place} has keys that this release doesn't know: {', '.join(unknown)}.", _OTHER)
    hints = get_type_hints(kind)
    try:
        return kind(**{key: _of_type(hints[key], one, f"{place}.{key}") for key, one in value.items()})
    except TypeError as error:
        raise BadExam(f"In a form, {place} is incomplete: {error}.", _OTHER) from error


_READERS: Mapping[object, Callable[[Any, str], object]] = {
    Kind: lambda value, _: Kind(value),
    Headline: lambda value, place: _made(Headline, value, place),
    Source: lambda value, place: _made(Source, value, place),
    tuple[Metric, ...]: lambda value, place: tuple(_made(Metric, one, place) for one in value),
    tuple[Chain, ...]: lambda value, place: tuple(_made(Chain, one, place) for one in value),
    tuple[Step, ...]: lambda value, place: tuple(_made(Step, one, place) for one in value),
    tuple[str, ...]: lambda value, place: tuple(_of_type(str, one, place) for one in value),
}


def _of_type(hint: type | UnionType, value: object, place: str) -> object:
    reader = _READERS.get(hint)
    try:
        if reader:
            return reader(value, place)
    except (TypeError, ValueError) as error:
        raise BadExam(f"In a form, {place} can't be read: {error}.", _OTHER) from error
    if hint is float and type(value) is int:
        return float(value)
    if hint == Arguments:
        hint = dict
    if type(value) is not hint:
        raise BadExam(f"In a form, {place} is {value!r}.", _OTHER)
    return value
