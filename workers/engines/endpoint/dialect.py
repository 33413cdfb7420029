"""What one server takes and gives, and the bodies of requests to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from proctor.errors import CantBeAsked
from proctor.nouns.conversations import Sampling
from workers.engines.endpoint.tokens import WireTokenizer, messages_of

COMPLETIONS, CHAT = "/completions", "/chat/completions"
LONGEST = 2048  # tokens of a reply whose limit and window nobody knows: a server's own default may be 16
# Servers that are known to take what isn't OpenAI's; others leave out what they don't know, without a word.
_TAKES_TOP_K = frozenset({"vllm", "sglang", "llama.cpp", "proctor"})
_TAKES_REPETITION = frozenset({"vllm", "sglang", "proctor"})

Prompt = Sequence[int] | str  # on the wire


class ScoringWay(StrEnum):
    """How a server is asked for the log-probabilities of a text that is given."""

    PROMPT_LOGPROBS = "prompt_logprobs"  # vLLM's: a row a token, by id, with ranks
    ECHO = "echo"  # OpenAI's older one: the prompt again, with its tokens' log-probabilities
    NONE = ""


@dataclass(frozen=True)
class Dialect:
    """One server with one model.

    Attributes
    ----------
    kind, version
        What runs there, `vllm` and `0.32.0`; "" where it doesn't tell.
    completions
        Whether it goes on with texts; else it has chat alone.
    ids
        Whether prompts may be token ids.
    reply_ids
        Whether it tells the token ids of its replies.
    limit_name
        What it calls the longest reply of a chat.
    """

    model: str
    kind: str = ""
    version: str = ""
    completions: bool = True
    ids: bool = False
    reply_ids: bool = False
    scoring: ScoringWay = ScoringWay.NONE
    limit_name: str = "max_tokens"
    agreed: float | None = None  # the largest difference between given and generated log-probabilities, nats
    compared: int = 0  # tokens whose log-probabilities were compared
    why_not: str = ""  # why it gives no log-probabilities of given texts
    facts: Mapping[str, str] = field(default_factory=dict)  # what it told of itself and the model

    @property
    def server(self) -> str:
        """`vllm 0.32.0`."""
        return f"{self.kind} {self.version}".strip() or "a server of unknown kind"

    def wire(self, tokenizer: WireTokenizer, tokens: Sequence[int]) -> Prompt:
        """A prompt as the server takes it: ids where it does, else their text."""
        return list(tokens) if self.ids else tokenizer.decode(tokens)

    def reply_body(self, prompt: Prompt, sampling: Sampling, limit: int | None) -> tuple[str, dict[str, Any]]:
        """Path and body of a request for a reply that comes as it is made. Raises `CantBeAsked`.

        A prompt that is messages goes to the chat, as does any where there is nothing else: as one message.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **self._sampled(sampling),
        }
        if not self.is_chat(prompt):
            body |= {"prompt": prompt, "max_tokens": limit or LONGEST}
            return COMPLETIONS, body | ({"return_token_ids": True} if self.reply_ids else {})
        text = prompt if isinstance(prompt, str) else ""
        body["messages"] = messages_of(text) or [{"role": "user", "content": text}]
        return CHAT, body | ({self.limit_name: limit} if limit else {})

    def is_chat(self, prompt: Prompt) -> bool:
        """Whether a prompt goes to the chat: messages do, and whatever there is where the server has no other."""
        return isinstance(prompt, str) and (not self.completions or messages_of(prompt) is not None)

    def _sampled(self, sampling: Sampling) -> dict[str, Any]:
        if sampling.rivals is not None:
            raise CantBeAsked(self.model, "the log-probabilities of a server's replies aren't passed on")
        told: dict[str, Any] = {"temperature": sampling.temperature}
        if not sampling.greedy:
            told |= {"top_p": sampling.top_p, "seed": sampling.seed}
        if sampling.top_k and not sampling.greedy:
            self._check_takes("top_k", _TAKES_TOP_K)
            told["top_k"] = sampling.top_k
        if sampling.repetition_penalty != 1.0:
            self._check_takes("repetition_penalty", _TAKES_REPETITION)
            told["repetition_penalty"] = sampling.repetition_penalty
        return told  # stop strings are looked for here: a thought may hold them, and a server drops what it stops at

    def _check_takes(self, name: str, kinds: frozenset[str]) -> None:
        if self.kind not in kinds:
            raise CantBeAsked(self.model, f"its server ({self.server}) isn't known to take {name}", "Leave it out.")

    def scoring_body(self, line: Prompt) -> dict[str, Any]:
        """A request for the log-probabilities of a line's own tokens; no more is generated than must be."""
        body: dict[str, Any] = {"model": self.model, "prompt": line, "temperature": 0}
        if self.scoring is ScoringWay.PROMPT_LOGPROBS:
            return body | {"max_tokens": 1, "prompt_logprobs": 1}
        return body | {"max_tokens": 0, "echo": True, "logprobs": 1}


@dataclass(frozen=True)
class ScoredToken:
    """A token of a line: its natural log-probability, and whether it is the likeliest at its place."""

    logprob: float
    greedy: bool
    at: int | None = None  # the character at which it begins, where that was told
    text: str = ""


class NotScored(ValueError):
    """An answer without the log-probabilities that were asked for; the text says what it has instead."""


def scored_tokens(way: ScoringWay, answer: Any, line: Prompt) -> list[ScoredToken]:
    """The tokens of a line from its second on, out of a server's answer. Raises `NotScored`."""
    try:
        choice = answer["choices"][0]
        read = _of_prompt_logprobs if way is ScoringWay.PROMPT_LOGPROBS else _of_echo
        return read(choice, line)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise NotScored(f"its answer has no {way}") from error


def _of_prompt_logprobs(choice: Mapping[str, Any], line: Prompt) -> list[ScoredToken]:
    """vLLM: for each token an object of ids to `logprob`, `rank` and `decoded_token`; the first has none."""
    rows = choice["prompt_logprobs"]
    ids = line if not isinstance(line, str) else choice["prompt_token_ids"]
    if len(rows) != len(ids):
        raise NotScored(f"it gives the log-probabilities of {len(rows)} tokens for {len(ids)}")
    told = [row[str(token)] for row, token in zip(rows[1:], ids[1:], strict=True)]
    return [
        ScoredToken(float(one["logprob"]), one.get("rank") == 1, text=one.get("decoded_token") or "") for one in told
    ]


def _of_echo(choice: Mapping[str, Any], line: Prompt) -> list[ScoredToken]:
    """OpenAI: `tokens`, `token_logprobs`, `top_logprobs` and `text_offset` of prompt and reply; the first has none."""
    told = choice["logprobs"]
    count = len(told.get("tokens") or told.get("content") or ())
    if isinstance(line, str) and not str(choice["text"]).startswith(line):
        raise NotScored("it leaves the prompt out of its answer")
    if not isinstance(line, str) and count < len(line):
        raise NotScored(f"it gives {count} tokens for a prompt of {len(line)}")
    end = count if isinstance(line, str) else len(line)
    rivals = told.get("top_logprobs") or [None] * count
    places = told.get("text_offset") or [None] * count
    return [
        ScoredToken(
            float(told["token_logprobs"][n]),
            _is_top(told["token_logprobs"][n], rivals[n]),
            places[n],
            told["tokens"][n],
        )
        for n in range(1, end)
        if not isinstance(line, str) or places[n] is None or places[n] < len(line)
    ]


def _is_top(logprob: float, rivals: Any) -> bool:
    return bool(rivals) and logprob >= max(rivals.values())
