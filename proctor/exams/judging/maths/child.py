"""The process of `equivalence`: a request a line in, `true` or `false` a line out. Limits end it, nothing else does."""

from __future__ import annotations

import json
import resource
import signal
import sys
from collections.abc import Callable, Mapping

from proctor.exams.judging.libraries import library

MEMORY_BYTES = 4 << 30


def difference(given: str, right: str) -> bool:
    """Whether sympy simplifies the difference of two LaTeX expressions to 0."""
    parse = library("sympy.parsing.latex").parse_latex
    return bool(library("sympy").simplify(parse(given) - parse(right)) == 0)


def verify(given: str, right: str) -> bool:
    """Whether math-verify takes both for the same, each read out of its text. Its own limits are off."""
    module = library("math_verify")
    return bool(
        module.verify(
            gold=module.parse(right, parsing_timeout=None),
            target=module.parse(given, parsing_timeout=None),
            timeout_seconds=None,
        )
    )


WAYS: Mapping[str, Callable[[str, str], bool]] = {"difference": difference, "verify": verify}


def main() -> None:
    """Answer requests until there are none."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for name in ("sympy.parsing.latex", "math_verify"):
        library(name)
    _say("ready")
    for line in sys.stdin:
        how, given, right, limit_s = json.loads(line)
        signal.alarm(limit_s)
        _say(json.dumps(_tried(WAYS[how], given, right)))
        signal.alarm(0)


def _tried(way: Callable[[str, str], bool], given: str, right: str) -> bool:
    try:
        return way(given, right)
    except Exception:  # noqa: BLE001 -- what a reply makes of a parser: it isn't equal
        return False


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
