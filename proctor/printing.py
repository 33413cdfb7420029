"""Text of others made safe to print: no name, message or reply drives a terminal, or hides what it says."""

from __future__ import annotations

import re

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` with every control character written out, such as `\\x1b`: safe for a terminal and for one line."""
    return CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def visible(text: str) -> str:
    """The text with whatever can't be seen as an escape: control characters, odd spaces, marks, lone surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def quoted(name: str) -> str:
    """A file's name as it is, or quoted and escaped where it holds what can't be seen."""
    return name if name.isprintable() else repr(name)
