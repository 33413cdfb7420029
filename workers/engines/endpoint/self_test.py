"""The self-test: what a server can do is found by trying it, when a worker connects to it.

Log-probabilities of given texts are believed where they are those that the server itself told while it wrote the same
tokens, and that of another token than the likeliest, to `TOLERANCE` or what was asked for. A server that leaves `echo`
out without a word (llama.cpp), or gives numbers of something else, fails it, and is asked for generation alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from proctor.catalog.endpoint import TOLERANCE, ServedModel
from proctor.errors import BadModel
from workers.engines.endpoint.dialect import (
    CHAT,
    COMPLETIONS,
    Dialect,
    NotScored,
    Prompt,
    ScoredToken,
    ScoringWay,
    scored_tokens,
)
from workers.engines.endpoint.server import Refused, Server
from workers.engines.endpoint.tokens import FileTokenizer, WireTokenizer

TRIALS = (
    "The moon turns once in each orbit around the earth, and so",
    "Question: What is 7 + 8?\nA. 13\nB. 15\nC. 17\nAnswer:",
)
_ENOUGH = 2  # tokens compared
_WRITTEN = 6  # tokens of a trial's reply
OURS = "proctor"
_KINDS = {"llamacpp": "llama.cpp", "library": "ollama"}  # what servers call themselves in lists of models
_SAYS_NOTHING = ("id", "object", "created")  # of the model: llama.cpp's and vLLM's `created` is the time of the answer
# Where each kind says its version, and in which field.
_PAGES = (
    ("vllm", "/version", "version"),
    ("sglang", "/get_server_info", "version"),
    ("llama.cpp", "/props", "build_info"),
    ("ollama", "/api/version", "version"),
)
_NO = (404, 405, 501)  # what isn't there at all


@dataclass(frozen=True)
class Written:
    """What a server wrote behind a trial, with its own numbers; `ids` where it told them."""

    text: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    rivals: tuple[Mapping[str, float], ...]  # by text, at each place
    ids: tuple[int, ...] = ()
    prompt_tokens: int | None = None


def look_at(server: Server, model: ServedModel, tokenizer: WireTokenizer, tolerance: float = TOLERANCE) -> Dialect:
    """What this server does with this model.

    Raises
    ------
    EndpointAway
        where it can't be reached.
    BadModel
        where it neither goes on with texts nor chats.
    """
    found = identified(server, model)
    written = _written(server, found, TRIALS[0])
    if written is None:
        return _chat_alone(server, found)
    if isinstance(tokenizer, FileTokenizer):
        found = _with_ids(server, found, tokenizer, written)
    return _with_scores(_Trial(server, found, tokenizer), tolerance)


def identified(server: Server, model: ServedModel) -> Dialect:
    """What the server says that it is. Each has a page of its own for that."""
    facts = {
        key: str(value)
        for key, value in model.facts.items()
        if isinstance(value, str | int | float) and key not in _SAYS_NOTHING
    }
    kind = _KINDS.get(model.owner, model.owner)
    for name, address, key in [page for page in _PAGES if page[0] == kind] or (() if kind == OURS else _PAGES):
        told = server.get(server.root + address)
        if isinstance(told, Mapping) and isinstance(told.get(key), str):
            return Dialect(model.name, name, told[key], facts=facts)
    return Dialect(model.name, kind, facts=facts)


def _written(server: Server, found: Dialect, prompt: Prompt, *, reply_ids: bool = False) -> Written | None:
    """What it writes greedily behind a prompt; None where it has no completions."""
    body = {"model": found.model, "prompt": prompt, "max_tokens": _WRITTEN, "temperature": 0}
    more: dict[str, Any] = {"return_token_ids": True} if reply_ids else {}
    try:
        return _read(server.post(COMPLETIONS, body | more | {"logprobs": 5}))
    except Refused as error:
        if error.status in _NO:
            return None
    try:
        return _read(server.post(COMPLETIONS, body | more))  # it refuses log-probabilities
    except Refused as error:
        if reply_ids or not isinstance(prompt, str) or error.status in _NO:
            return None
        raise BadModel(found.model, f"its server refuses to go on with a text: {error.said}") from error


def _read(answer: Any) -> Written:
    choice = answer["choices"][0]
    told = choice.get("logprobs") or {}
    tokens, logprobs = told.get("tokens") or (), told.get("token_logprobs") or ()
    if not tokens and told.get("content"):  # llama.cpp's shape, that of chats
        tokens, logprobs = zip(*((one["token"], one["logprob"]) for one in told["content"]), strict=True)
    return Written(
        str(choice.get("text") or ""),
        tuple(map(str, tokens)),
        tuple(map(float, logprobs)),
        tuple(one or {} for one in told.get("top_logprobs") or ()),
        tuple(choice.get("token_ids") or ()),
        (answer.get("usage") or {}).get("prompt_tokens"),
    )


def _chat_alone(server: Server, found: Dialect) -> Dialect:
    body = {"model": found.model, "messages": [{"role": "user", "content": "Say: yes"}]}
    refusals = []
    for name in ("max_tokens", "max_completion_tokens"):
        try:
            server.post(CHAT, body | {name: 16})
        except Refused as error:
            refusals.append(error.said)
            continue
        why = "it has no /completions, which alone could give them"
        return replace(found, completions=False, limit_name=name, why_not=why)
    raise BadModel(found.model, f"its server neither goes on with a text nor chats: {refusals[0]}")


def _with_ids(server: Server, found: Dialect, tokenizer: FileTokenizer, by_text: Written) -> Dialect:
    """Whether token ids may be prompts, and are told of replies: they must say what the text says."""
    ids = tokenizer.ids(TRIALS[0])
    written = _written(server, found, ids)
    counted = written is not None and written.prompt_tokens in (None, len(ids))
    if written is None or not counted or written.text[:1] != by_text.text[:1]:
        return found
    told = _written(server, found, ids, reply_ids=True)
    reply_ids = told is not None and bool(told.ids) and tokenizer.decode(told.ids, specials=False) == told.text
    return replace(found, ids=True, reply_ids=reply_ids)


def _with_scores(trial: _Trial, tolerance: float) -> Dialect:
    """The first way of scoring whose numbers are those of generation."""
    found, why = trial.found, "it tells no log-probabilities of its own replies, to hold those of given texts against"
    replies = {text: reply for text in TRIALS if (reply := trial.write(text)) is not None and reply.logprobs}
    for way in (ScoringWay.PROMPT_LOGPROBS, ScoringWay.ECHO) if replies else ():
        try:
            differences = [one for text, reply in replies.items() for one in trial.differences(way, text, reply)]
        except (Refused, NotScored) as error:
            why = error.said if isinstance(error, Refused) else str(error)
            continue
        if len(differences) >= _ENOUGH and max(differences) <= tolerance:
            return replace(found, scoring=way, agreed=max(differences), compared=len(differences))
        why = "too few of its tokens could be compared"
        if differences and max(differences) > tolerance:
            why = f"they differ from those of generation by {max(differences):.2g}, more than {tolerance:g}"
    return replace(found, why_not=why)


@dataclass(frozen=True)
class _Trial:
    """The comparison of given log-probabilities with generated ones, on one server."""

    server: Server
    found: Dialect
    tokenizer: WireTokenizer

    def write(self, text: str) -> Written | None:
        """What the server writes behind a text."""
        return _written(self.server, self.found, self._wire(text), reply_ids=self.found.reply_ids)

    def differences(self, way: ScoringWay, text: str, reply: Written) -> list[float]:
        """How far given log-probabilities are from those told in writing: of what was written, and of a rival of it.

        Raises `Refused`, `NotScored`.
        """
        given = self._given(way, text, reply.text, reply.ids)
        pairs = zip(reply.tokens, reply.logprobs, given, strict=False)
        # Behind a token that the text tokenizes otherwise, or doesn't have, the numbers are of something else.
        alike = takewhile(lambda pair: bool(reply.ids) or pair[0] == pair[2].text != "", pairs)
        same = [(mine, one.logprob) for _, mine, one in alike]
        rivals = reply.rivals[0] if reply.rivals else {}
        rival = next((one for one in sorted(rivals, key=lambda each: -rivals[each]) if _is_plain(one, reply)), None)
        if rival is not None:
            others = self._given(way, text, rival)[:1]
            same += [(rivals[rival], other.logprob) for other in others if other.text == rival]
        return [abs(mine - given) for mine, given in same]

    def _given(self, way: ScoringWay, text: str, more: str, ids: Sequence[int] = ()) -> Sequence[ScoredToken]:
        """The tokens of `more` behind `text`, scored; `ids` are its tokens where the server told them."""
        line = [*self._wire(text), *ids] if ids else self._wire(text + more)
        answer = self.server.post(COMPLETIONS, replace(self.found, scoring=way).scoring_body(line))
        tokens = scored_tokens(way, answer, line)
        if self.found.ids:
            return tokens[len(self._wire(text)) - 1 :]
        return [one for one in tokens if one.at is not None and one.at >= len(text)]

    def _wire(self, text: str) -> Prompt:
        return self.tokenizer.ids(text) if self.found.ids else text


def _is_plain(rival: str, reply: Written) -> bool:
    """Whether a rival of the first token is a word of its own, which stays one token behind the prompt."""
    return rival != reply.tokens[0] and re.fullmatch(r" ?[A-Za-z0-9]+", rival) is not None
