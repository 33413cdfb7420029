"""Replies in the shapes of OpenAI's API: whole, and chunk by chunk.

As the `openai` client and others read them: the first chunk has the role, exactly one chunk a finish reason, usage
comes in a chunk of its own with no choices and only where it was asked for, `[DONE]` ends the stream.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.protocol import Ending, Piece, TokenScore
from proctor.dialogue import Finish

DONE = "data: [DONE]\n\n"
REASONS = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.STOPPED: "stop", Finish.FAILED: "stop"}


@dataclass(frozen=True)
class Shape:
    """One completion: chat or text. `scored`: log-probabilities were asked for."""

    id: str
    model: str
    chat: bool
    scored: bool = False
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, scores: Sequence[TokenScore], ending: Ending) -> dict[str, Any]:
        """The answer to a request without `stream`."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": REASONS[ending.finish], "logprobs": None}
        if self.scored:
            choice["logprobs"] = self._logprobs(scores, 0)
        if self.chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        return {**self._head(chunk=False), "choices": [choice], "usage": usage(ending)}

    def opening(self) -> Iterator[dict[str, Any]]:
        """What comes before the first piece: of a chat the role."""
        if self.chat:
            yield self._chunk({"role": "assistant", "content": ""}, None, None)

    def piece(self, piece: Piece) -> dict[str, Any]:
        """A part of the reply."""
        logprobs = self._logprobs(piece.scores, piece.at_character) if self.scored else None
        return self._chunk({"content": piece.text}, logprobs, None)

    def closing(self, ending: Ending, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The finish reason, and usage where it was asked for."""
        yield self._chunk({}, None, REASONS[ending.finish])
        if include_usage:
            yield {**self._head(chunk=True), "choices": [], "usage": usage(ending)}

    def _head(self, *, chunk: bool) -> dict[str, Any]:
        kind = ("chat.completion.chunk" if chunk else "chat.completion") if self.chat else "text_completion"
        name = f"chatcmpl-{self.id}" if self.chat else f"cmpl-{self.id}"
        return {"id": name, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: dict[str, str], logprobs: Any, reason: str | None) -> dict[str, Any]:
        said: dict[str, Any] = {"delta": delta} if self.chat else {"text": delta.get("content", "")}
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": reason}
        return {**self._head(chunk=True), "choices": [choice]}

    def _logprobs(self, scores: Sequence[TokenScore], at_character: int) -> dict[str, Any]:
        return {"content": [_score(each) for each in scores]} if self.chat else _text_scores(scores, at_character)


def event(data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def usage(ending: Ending) -> dict[str, Any]:
    """Tokens in and out; `cached_tokens` were kept from an earlier request and not computed again."""
    counts = ending.counts
    return {
        "prompt_tokens": counts.tokens_in,
        "completion_tokens": counts.tokens_out,
        "total_tokens": counts.tokens_in + counts.tokens_out,
        "prompt_tokens_details": {"cached_tokens": counts.tokens_cached},
    }


def _score(score: TokenScore) -> dict[str, Any]:
    return {
        **_token(score.text, score.logprob),
        "top_logprobs": [_token(rival.text, rival.logprob) for rival in score.rivals],
    }


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}


def _text_scores(scores: Sequence[TokenScore], at_character: int) -> dict[str, Any]:
    """The older shape, of /v1/completions: four lists."""
    offsets = []
    for score in scores:
        offsets.append(at_character)
        at_character += len(score.text)
    return {
        "tokens": [score.text for score in scores],
        "token_logprobs": [max(score.logprob, -9999.0) for score in scores],
        "top_logprobs": [{rival.text: max(rival.logprob, -9999.0) for rival in score.rivals} for score in scores],
        "text_offset": offsets,
    }
