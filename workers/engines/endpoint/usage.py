"""What a server counted of a request, in tokens: the ground of what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.engines.generation import Usage

__all__ = ["Usage", "usage_of"]


def usage_of(answer: Mapping[str, Any]) -> Usage:
    """The counts of an answer, or of a stream's last event; nothing where the server tells none."""
    told = answer.get("usage")
    if not isinstance(told, Mapping):
        return Usage()
    details = told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else 0
    return Usage(_count(told.get("prompt_tokens")), _count(cached), _count(told.get("completion_tokens")))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
