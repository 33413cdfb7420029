"""The program that writes chat templates out, in a process of its own: `python -m proctor.catalog.rendering`.

A template is a program of strangers, and Jinja's sandbox bounds neither its time nor its memory. So this process may
take `SECONDS` of computing time for one text and `MEMORY_BYTES` of address space, and is ended by the kernel beyond the
first. A line of JSON in, a line of JSON out; see `proctor.catalog.template`.

The environment is that of `transformers.utils.chat_template_utils`, and tells templates the time that it is told.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 5.0  # of computing time: a busy machine doesn't count
MEMORY_BYTES = 1 << 30  # with the interpreter's own; Linux holds it, macOS doesn't
LONGEST_TEXT = 16 << 20  # characters
_LONGEST_REASON = 500
_TEMPLATES_KEPT = 16


class Generation(Extension):
    """The block that marks what the assistant says: written as it is."""

    tags = {"generation"}  # noqa: RUF012 -- jinja2's own type

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for who asked, and ends our input
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        told = json.dumps(answer(json.loads(line)))
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        sys.stdout.buffer.write(told.encode() + b"\n")
        sys.stdout.buffer.flush()


def answer(asked: dict[str, Any]) -> dict[str, str]:
    """The `text` of a request, or the `error` of its template, or the `limit` that it broke."""
    try:
        template = _compiled(asked["source"])
        text = template.render(
            messages=asked["turns"],
            tools=None,
            documents=None,
            add_generation_prompt=asked["opened"],
            strftime_now=datetime.fromisoformat(asked["moment"]).strftime,
            **asked["special"],
        )
    except MemoryError:
        return {"limit": f"takes more than {MEMORY_BYTES >> 30} GiB of memory"}
    except Exception as error:  # noqa: BLE001 -- a template raises what it likes; the reason is told
        return {"error": str(error)[:_LONGEST_REASON]}
    if len(text) > LONGEST_TEXT:
        return {"limit": f"writes more than {LONGEST_TEXT >> 20} Mi characters"}
    return {"text": text}


@lru_cache(_TEMPLATES_KEPT)
def _compiled(source: str) -> Template:
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = _tojson
    made.globals["raise_exception"] = _refuse
    return made.from_string(source)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


if __name__ == "__main__":
    main()
