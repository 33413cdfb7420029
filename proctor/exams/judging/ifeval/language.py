"""Instructions on language, by langdetect: 55 languages, the trials drawn with a fixed seed."""

from __future__ import annotations

from functools import cache
from typing import Any

from proctor.exams.judging.ifeval.given import Given
from proctor.exams.judging.libraries import library


def language(reply: str, given: Given) -> bool:
    """`language:response_language`: the language is `language` (ISO 639-1). One that can't be told passes."""
    return detected(reply) in {given.text("language"), None}


def english_capitals(reply: str, _: Given) -> bool:
    """`change_case:english_capital`: all letters are capitals, and it is English."""
    return reply.isupper() and detected(reply) in {"en", None}


def english_lowercase(reply: str, _: Given) -> bool:
    """`change_case:english_lowercase`: no letter is a capital, and it is English."""
    return reply.islower() and detected(reply) in {"en", None}


def detected(text: str) -> str | None:
    """The language's code; None where a text has nothing to tell it by, as digits alone."""
    detector = _factory().create()
    detector.append(text)
    try:
        return str(detector.detect())
    except library("langdetect").LangDetectException:
        return None


@cache
def _factory() -> Any:  # of a library without types
    """A factory of our own: the library's seed is for all who use it, and is not set."""
    module = library("langdetect.detector_factory")
    factory = module.DetectorFactory()
    factory.load_profile(module.PROFILES_DIRECTORY)
    factory.seed = 0
    return factory
