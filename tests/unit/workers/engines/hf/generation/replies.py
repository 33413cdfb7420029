"""Replies of a generator for the tests of both."""

from __future__ import annotations

from workers.engines.generation import GenerationRequest, Generator, NextToken


def run(generator: Generator, *requests: GenerationRequest) -> dict[str, list[NextToken]]:
    """All replies, to their ends."""
    for request in requests:
        generator.add(request)
    said: dict[str, list[NextToken]] = {request.id: [] for request in requests}
    while generator.live:
        for token in generator.step():
            said[token.id].append(token)
    return said
