"""WikiText-2 (Merity et al. 2016, CC BY-SA 3.0): how likely whole pages are. 62 pages of test.

A row: {"page": " = Robert Boulter = ⏎ ⏎ Robert Boulter is an English film , television and theatre actor . …"}. The
page is scored as it would be typeset; words and bytes are counted on the raw page, white space at its ends included.
"""

from __future__ import annotations

import re

from proctor.exams.benchmarks.releases import LM_EVAL
from proctor.exams.benchmarks.task_benchmark import fixed
from proctor.exams.tasks.definition import Asking, Judging, Row, Rows, Task
from proctor.exams.tasks.form import Kind, Metric

# Each is replaced everywhere before the next is looked for.
_SIGNS = (
    ("s '", "s'"),
    *((f" @{sign}@ ", sign) for sign in "-,."),
    *((f" {sign} ", f"{sign} ") for sign in ":;.!?,"),
)
_PAIRS = tuple(
    (re.compile(rf"{opened}\s*([^{closed}]*?)\s*{closed}"), f"{opened[-1]}\\1{closed[-1]}")
    for opened, closed in ((r"\(", r"\)"), (r"\[", r"\]"), (r"\{", r"\}"), ('"', '"'), ("'", "'"))
)
_REST = (
    ("= = = =", "===="),
    ("= = =", "==="),
    ("= =", "=="),
    (" \N{DEGREE SIGN} ", "\N{DEGREE SIGN}"),
    (" \n", "\n"),
    ("\n ", "\n"),
    (" N ", " 1 "),
    (" 's", "'s"),
)


def typeset(row: Row) -> str:
    """The page as it would be typeset."""
    text = str(row["page"])
    for old, new in _SIGNS:
        text = text.replace(old, new)
    for pattern, pair in _PAIRS:
        text = pattern.sub(pair, text)
    for old, new in _REST:
        text = text.replace(old, new)
    return text


def counts(row: Row) -> object:
    """Words and bytes of the raw page."""
    page = str(row["page"])
    return {"words": len(re.split(r"\s+", page)), "bytes": len(page.encode())}


TASK = Task(
    "wikitext",
    Kind.ROLLING,
    Rows(
        "EleutherAI/wikitext_document_level",
        "wikitext-2-raw-v1",
        training="train",
        validation="validation",
        test="test",
        licence="CC BY-SA 3.0",
    ),
    Asking("", typeset),
    Judging(
        (
            Metric("word_perplexity", aggregation="weighted_perplexity", higher_is_better=False),
            Metric("byte_perplexity", aggregation="weighted_perplexity", higher_is_better=False),
            Metric("bits_per_byte", aggregation="bits_per_byte", higher_is_better=False),
        ),
        reference=counts,
    ),
    "2.0",
    LM_EVAL,
)
WIKITEXT = fixed(TASK)
