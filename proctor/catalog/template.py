"""A chat template outside a worker, where jinja2 is installed: what is refused for it is refused at submission.

The environment is that of `transformers.utils.chat_template_utils`, without what only its own callers use. A worker
renders with transformers itself.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def renderer(source: str) -> Callable[[Sequence[Mapping[str, object]], datetime], str] | None:
    """A template as a function of turns (role and content) and the moment that it is told; None without jinja2.

    The function raises whatever the template raises, a fault of its syntax among it.
    """
    if importlib.util.find_spec("jinja2") is None:
        return None

    def render(turns: Sequence[Mapping[str, object]], moment: datetime) -> str:
        environment = _environment()
        environment.globals["strftime_now"] = moment.strftime
        return environment.from_string(source).render(messages=turns, add_generation_prompt=True, **SPECIAL)

    return render


def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The block that marks what the assistant says: written as it is."""

        tags = {"generation"}  # noqa: RUF012 -- jinja2's own type

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    def tojson(value: object, **options: object) -> str:
        return json.dumps(value, ensure_ascii=False, indent=options.get("indent"))  # type: ignore[arg-type] # a template's

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = refuse
    return made
