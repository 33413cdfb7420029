"""Filters that read the final answer out of a solution in LaTeX."""

from __future__ import annotations

import re

from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.filters import Filter, each

_FINAL = re.compile(r"Final Answer: The final answer is(.*?). I hope it is correct.")
NO_ANSWER = "[invalidanswer]"
EXTRACTED = "extracted"  # the argument by which a metric leaves to a filter what it would read out itself


def between_dollars(_: Reader) -> Filter:
    """The filter of `in_dollars`."""
    return each(lambda text, _: in_dollars(text))


def final_answer(_: Reader) -> Filter:
    """The filter of `finally_said`."""
    return each(lambda text, _: finally_said(text), NO_ANSWER)


def last_boxed(_: Reader) -> Filter:
    r"""The content of the last `\boxed{…}` or `\fbox{…}` whose braces close."""
    return each(lambda text, _: boxed(text), NO_ANSWER)


def in_dollars(text: str) -> str:
    """hendrycks_math: what stands between the first `$` and the last; the whole reply where two are missing."""
    first, last = text.find("$"), text.rfind("$")
    return text[first + 1 : last] if first < last else text


def finally_said(text: str) -> str | None:
    """minerva_math: what stands between `Final Answer: The final answer is` and `I hope it is correct.`, or a space."""
    found = _FINAL.search(text + "I hope it is correct.")
    return found.group(1).strip() if found else None


def boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{…}`, or of the last `\fbox{…}`; None where there is none that closes.

    `\boxed 5$` without braces goes up to the next dollar.
    """
    if "\\boxed " in text:
        return text.rpartition("\\boxed ")[2].partition("$")[0]
    for command in ("\\boxed", "\\fbox"):
        start = text.rfind(command)
        if start >= 0:
            return _braced(text[start + len(command) :])
    return None


def _braced(text: str) -> str | None:
    if not text.startswith("{"):
        return None
    depth = 0
    for place, one in enumerate(text):
        depth += (one == "{") - (one == "}")
        if not depth:
            return text[1:place]
    return None
