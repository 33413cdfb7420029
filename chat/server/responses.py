"""Replies in the shapes of OpenAI's API: whole, and chunk by chunk.

As the `openai` client and others read them: the first chunk has the role, exactly one chunk a finish reason, usage
comes in a chunk of its own with no choices and only where it was asked for, `[DONE]` ends the stream.

With `echo` a completion begins with its prompt, whose tokens stand first among those of `logprobs`; the token that
ended the reply stands last there and adds no text. So there is exactly one token more than the prompt's where one was
asked for, which programs that examine models count on (lm-evaluation-harness takes the last one off).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.protocol.turns import Aside, AsidePlace, Ending, Piece, TokenScore, TopLogprob
from proctor.nouns.conversations import Finish

DONE = "data: [DONE]\n\n"
REASONS = {Finish.STOP: "stop", Finish.LENGTH: "length", Finish.STOPPED: "stop", Finish.FAILED: "stop"}
LEAST = -9999.0  # stands for the logarithm of 0, which JSON can't say
ROLE, TEXT = "role", "content"


@dataclass(frozen=True)
class EndedReply:
    """A reply that has ended, and what was told beside it."""

    text: str
    scores: tuple[TokenScore, ...]
    ending: Ending
    prompt: Aside | None = None
    end: Aside | None = None


@dataclass(frozen=True)
class CompletionShape:
    """One completion: chat or text. `scored`: log-probabilities were asked for; `silent`: the prompt alone was."""

    id: str
    model: str
    chat: bool
    scored: bool = False
    silent: bool = False
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def asked(self) -> str:
        """The parameter that holds what is answered."""
        return "messages" if self.chat else "prompt"

    def whole(self, replies: Sequence[EndedReply]) -> dict[str, Any]:
        """The answer to a request without `stream`: a choice for each reply."""
        choices = [self._choice(number, each) for number, each in enumerate(replies)]
        return {**self._head(chunk=False), "choices": choices, "usage": self._usage([each.ending for each in replies])}

    def _choice(self, number: int, heard: EndedReply) -> dict[str, Any]:
        text, scores = heard.text, list(heard.scores)
        if heard.end is not None:
            scores += heard.end.scores
        if self.silent:
            text, scores = "", []
        if heard.prompt is not None:
            text, scores = heard.prompt.text + text, [*heard.prompt.scores, *scores]
        choice: dict[str, Any] = {"index": number, "finish_reason": self._reason(heard.ending), "logprobs": None}
        if self.scored:
            choice["logprobs"] = self._logprobs(scores, text, first=heard.prompt is not None)
        if self.chat:
            choice["message"] = {"role": "assistant", TEXT: text, "refusal": None}
        else:
            choice["text"] = text
        return choice

    def opening(self) -> Iterator[dict[str, Any]]:
        """What comes before the first piece: of a chat the role."""
        if self.chat:
            yield self._chunk({ROLE: "assistant", TEXT: ""}, None, None)

    def aside(self, aside: Aside, at_character: int) -> Iterator[dict[str, Any]]:
        """What is told beside a reply of which so many characters have come, the prompt's included."""
        first = aside.place is AsidePlace.PROMPT
        if first or (aside.scores and not self.silent):
            logprobs = self._logprobs(aside.scores, aside.text, at_character, first=first) if self.scored else None
            yield self._chunk({TEXT: aside.text}, logprobs, None)

    def piece(self, piece: Piece, before: int = 0) -> Iterator[dict[str, Any]]:
        """A part of the reply, behind so many characters of an echoed prompt."""
        if not self.silent:
            at = before + piece.at_character
            yield self._chunk(
                {TEXT: piece.text}, self._logprobs(piece.scores, piece.text, at) if self.scored else None, None
            )

    def closing(self, ending: Ending, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The finish reason, and usage where it was asked for."""
        yield self._chunk({}, None, self._reason(ending))
        if include_usage:
            yield {**self._head(chunk=True), "choices": [], "usage": self._usage([ending])}

    def _reason(self, ending: Ending) -> str:
        return "length" if self.silent else REASONS[ending.finish]

    def _usage(self, endings: Sequence[Ending]) -> dict[str, Any]:
        """Tokens in and out; `cached_tokens` were kept from an earlier request and not computed again."""
        into = sum(ending.counts.tokens_in for ending in endings)
        out = 0 if self.silent else sum(ending.counts.tokens_out for ending in endings)
        return {
            "prompt_tokens": into,
            "completion_tokens": out,
            "total_tokens": into + out,
            "prompt_tokens_details": {"cached_tokens": sum(ending.counts.tokens_cached for ending in endings)},
        }

    def _head(self, *, chunk: bool) -> dict[str, Any]:
        kind = ("chat.completion.chunk" if chunk else "chat.completion") if self.chat else "text_completion"
        name = f"chatcmpl-{self.id}" if self.chat else f"cmpl-{self.id}"
        return {"id": name, "object": kind, "created": self.created, "model": self.model}

    def _chunk(self, delta: dict[str, str], logprobs: Any, reason: str | None) -> dict[str, Any]:
        said: dict[str, Any] = {"delta": delta} if self.chat else {"text": delta.get(TEXT, "")}
        choice = {"index": 0, **said, "logprobs": logprobs, "finish_reason": reason}
        return {**self._head(chunk=True), "choices": [choice]}

    def _logprobs(
        self, scores: Sequence[TokenScore], text: str, at_character: int = 0, *, first: bool = False
    ) -> dict[str, Any]:
        if self.chat:
            return {"content": [_score(each) for each in scores]}
        return _text_scores(scores, [at_character + place for place in offsets(text, scores)], first=first)


def event(data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n"


def offsets(text: str, scores: Sequence[TokenScore]) -> list[int]:
    """The character of `text` at which each token begins.

    Tokens add their text in order. One that isn't found where the last one ended adds nothing: a special token that the
    tokenizer put in front, one behind a stop string. SentencePiece's first token has a space that the text hasn't.
    """
    found, place = [], 0
    for score in scores:
        found.append(place)
        if text.startswith(score.text, place):
            place += len(score.text)
        elif place == 0 and score.text.startswith(" ") and text.startswith(score.text[1:]):
            place = len(score.text) - 1
    return found


def _score(score: TokenScore) -> dict[str, Any]:
    return {**_token(score), "top_logprobs": [_token(rival) for rival in score.rivals]}


def _token(token: TokenScore | TopLogprob) -> dict[str, Any]:
    return {"token": token.text, "logprob": max(token.logprob, LEAST), "bytes": list(token.raw)}


def _text_scores(scores: Sequence[TokenScore], places: list[int], *, first: bool) -> dict[str, Any]:
    """The older shape, of /v1/completions: four lists. Nothing stands before the `first` token: it has no numbers."""
    logprobs: list[float | None] = [max(score.logprob, LEAST) for score in scores]
    rivals: list[dict[str, float] | None] = [_by_text(score.rivals) for score in scores]
    if first and scores:
        logprobs[0] = rivals[0] = None
    return {
        "tokens": [score.text for score in scores],
        "token_logprobs": logprobs,
        "top_logprobs": rivals,
        "text_offset": places,
    }


def _by_text(rivals: Sequence[TopLogprob]) -> dict[str, float]:
    """The likeliest tokens by their texts; of two that are the same text, as parts of characters are, the likelier."""
    found: dict[str, float] = {}
    for rival in sorted(rivals, key=lambda each: -each.logprob):
        found.setdefault(rival.text, max(rival.logprob, LEAST))
    return found
