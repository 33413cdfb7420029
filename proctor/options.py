"""Options that several commands have in common, told in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def options(*decorators: Callable[[Decorated], Decorated]) -> Callable[[Decorated], Decorated]:
    """Several click options as one decorator, in the order in which help shows them."""

    def decorate(function: Decorated) -> Decorated:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


# The defaults are those of `proctor.catalog.endpoint`, which takes too long to import for --help.
of_a_server = options(
    click.option("--tokenizer", default="", metavar="MODEL",
                 help="A folder, or a cached model of the hub, with the tokenizer of the server's model: prompts then "
                      "go out as token ids. Default: that of the model's own name, where it lies here."),
    click.option("--in-flight", type=click.IntRange(min=1), default=32, show_default=True, metavar="N",
                 help="Requests to the server at a time, at most; fewer while it has no room."),
    click.option("--tolerance", type=click.FloatRange(0, 1, min_open=True), default=0.01, show_default=True,
                 metavar="NATS", help="How far log-probabilities of given texts may be from those of generation for "
                 "options to be scored; a server that computes in 16 bits needs about 0.2."),
    click.option("--price", default="", metavar="READ:WRITTEN",
                 help="What a million tokens cost that the server reads and writes, such as 0.15:0.60: the report then "
                      "has what a Run cost."),
)  # fmt: skip
