"""Settings of generation by the names that lm-evaluation-harness gives them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from proctor.errors import BadExam

LONGEST = 256  # tokens of a reply, where a task doesn't say
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_KNOWN = frozenset({"until", "do_sample", "temperature", "top_p", "top_k", "num_beams", *_LENGTHS})


@dataclass(frozen=True)
class Generation:
    """How a reply is written."""

    until: tuple[str, ...]
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int


def read_generation(task: str, settings: Mapping[str, object] | None, fewshot_delimiter: str) -> Generation:
    """The settings of a task; without `until` a reply ends at what stands between examples.

    It is sampled where `do_sample` is true, or isn't given and the temperature is above 0; 1 is then the temperature
    where none is given. Raises `BadExam` for settings that aren't known, naming them.
    """
    settings = settings or {}
    if unknown := sorted(set(settings) - _KNOWN):
        raise BadExam(f"{task!r} has settings of generation that aren't known: {', '.join(unknown)}.")
    if settings.get("num_beams", 1) != 1:
        raise BadExam(f"{task!r} wants {settings['num_beams']} beams; replies are written without a search.")
    until = settings.get("until", fewshot_delimiter)
    stops = [until] if isinstance(until, str) else until or []
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise BadExam(f"{task!r} has until = {until!r}: a list of texts is needed.")
    return Generation(
        tuple(stop for stop in stops if stop),
        int(_number(task, settings, next((name for name in _LENGTHS if name in settings), ""), LONGEST)),
        _temperature(task, settings),
        _number(task, settings, "top_p", 1.0),
        int(_number(task, settings, "top_k", 0)),
    )


def _temperature(task: str, settings: Mapping[str, object]) -> float:
    sampled = settings.get("do_sample")
    if sampled not in (True, False, None):
        raise BadExam(f"{task!r} has do_sample = {sampled!r}: true or false is needed.")
    if sampled is False:
        return 0.0
    return _number(task, settings, "temperature", 1.0 if sampled else 0.0)


def _number(task: str, settings: Mapping[str, object], name: str, otherwise: float) -> float:
    value = settings.get(name)
    if value is None:
        return otherwise
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise BadExam(f"{task!r} has {name} = {value!r}: a number is needed.")
