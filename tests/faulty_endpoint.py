"""A small server of OpenAI's API, of which every fault can be asked for: the bigram model of `tests.bigram` behind it.

Its tokens are characters, which it tells as texts alone. `with FaultyEndpoint() as server:` listens at `server.url`.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.bigram import END, READ, logprob

MODEL = "bigram"
LETTERS = sorted(set(READ))


@dataclass(frozen=True)
class Fault:
    """What the next request for a completion meets instead of its answer."""

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None  # events of a stream, which is then cut; the status is 200


@dataclass
class FaultyEndpoint:
    """The server and how it is to behave; all of it can be changed while it serves."""

    port: int = 0
    faults: deque[Fault] = field(default_factory=deque)
    off_by: float = 0.0  # added to log-probabilities of prompts
    constant: float | None = None  # in the place of all log-probabilities
    chance: bool = False  # log-probabilities of prompts are drawn
    echoes: bool = True  # else `echo` is left out without a word, as llama.cpp does
    scores: bool = True  # else it tells no log-probabilities at all
    completions: bool = True  # else it has chat alone
    limit_name: str = "max_tokens"  # of a chat
    says: str | Callable[[str], str] = ""  # instead of what the model says, to each prompt
    silent_s: float = 0.0  # before each answer
    token_s: float = 0.0  # before each event of a stream
    keys: list[str] = field(default_factory=list)  # those that were sent
    wanted_key: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    under_way: int = 0
    room: int = 1000  # requests at a time: more are answered 429

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, at the same port as before."""
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"endpoint": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Be gone, with whatever is under way."""
        self._server.over = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def next_fault(self) -> Fault | None:
        with self._lock:
            return self.faults.popleft() if self.faults else None

    def begin(self, body: dict[str, Any]) -> bool:
        """Whether there is room for one more."""
        with self._lock:
            self.requests.append(body)
            if self.under_way >= self.room:
                return False
            self.under_way += 1
            self.most_at_once = max(self.most_at_once, self.under_way)
            return True

    def end(self) -> None:
        with self._lock:
            self.under_way -= 1


def spoken(prompt: str, tokens: int) -> Iterator[tuple[str, float, list[tuple[str, float]]]]:
    """The model's greedy continuation: each character, its log-probability, and the likeliest two."""
    before = ord(prompt[-1]) if ord(prompt[-1]) < END else ord("?")
    for _ in range(tokens):
        ranks = sorted(((logprob(before, token), -token) for token in [*map(ord, LETTERS), END]), reverse=True)
        chosen = -ranks[0][1]
        if chosen == END:
            return
        yield chr(chosen), ranks[0][0], [(chr(-token), one) for one, token in ranks[:2] if -token != END]
        before = chosen


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    over = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or the end of the server: neither is worth a word."""


class _Handler(BaseHTTPRequestHandler):
    endpoint: FaultyEndpoint
    protocol_version = "HTTP/1.0"

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer({})
            return
        if not self._may():
            return
        if self.path == "/v1/models":
            self._answer({"object": "list", "data": [{"id": MODEL, "owned_by": "trial", "max_model_len": 4000}]})
        else:
            self._answer({"error": {"message": "nothing here"}}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return
        if not self.endpoint.begin(body):
            self._answer({"error": {"message": "no room"}}, 429, {"Retry-After": "0.05"})
            return
        try:
            self._complete(body)
        finally:
            self.endpoint.end()

    def _may(self) -> bool:
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.endpoint.keys.append(key)
        if self.endpoint.wanted_key in ("", key):
            return True
        self._answer({"error": {"message": "no such key"}}, 401)
        return False

    def _complete(self, body: dict[str, Any]) -> None:
        time.sleep(self.endpoint.silent_s)
        fault = self.endpoint.next_fault()
        if fault is not None and fault.cut_after is None:
            self._answer({"error": {"message": "a fault that was asked for"}}, fault.status, fault.headers)
            return
        chat = self.path == "/v1/chat/completions"
        if not chat and (self.path != "/v1/completions" or not self.endpoint.completions):
            self._answer({"error": {"message": "nothing here"}}, 404)
            return
        wrong = {"max_tokens", "max_completion_tokens"} - {self.endpoint.limit_name} if chat else {"prompt_logprobs"}
        if not wrong.isdisjoint(body) or (not chat and not isinstance(body["prompt"], str)):
            self._answer({"error": {"message": f"unsupported: {', '.join(sorted(wrong))}"}}, 400)
            return
        if body.get("stream"):
            self._stream(body, chat, fault.cut_after if fault is not None else None)
        else:
            self._answer(self._whole(body, chat))

    def _prompt(self, body: dict[str, Any], chat: bool) -> str:
        return str(body["messages"][-1]["content"] if chat else body["prompt"])

    def _made(self, body: dict[str, Any], chat: bool) -> list[tuple[str, float, list[tuple[str, float]]]]:
        longest = body.get(self.endpoint.limit_name if chat else "max_tokens", 16)
        says = self.endpoint.says
        if says:
            text = says if isinstance(says, str) else says(self._prompt(body, chat))
            return [(one, -0.5, [(one, -0.5)]) for one in text[:longest]]
        return list(spoken(self._prompt(body, chat), longest))

    def _usage(self, body: dict[str, Any], chat: bool, written: int) -> dict[str, int]:
        return {"prompt_tokens": len(self._prompt(body, chat)), "completion_tokens": written}

    def _whole(self, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        made, prompt = self._made(body, chat), self._prompt(body, chat)
        text = "".join(one for one, _, _ in made)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        if chat:
            return {"choices": [choice | {"message": {"content": text}}], "usage": self._usage(body, chat, len(made))}
        tokens, numbers = [one for one, _, _ in made], [number for _, number, _ in made]
        rivals: list[dict[str, float] | None] = [dict(some) for _, _, some in made]
        first = len(prompt)
        if body.get("echo") and self.endpoint.echoes:
            text, first = prompt + text, 0
            tokens = [*prompt, *tokens]
            numbers = [*(self._of_prompt(prompt, place) for place in range(len(prompt))), *numbers]
            rivals = [None, *({one: number} for one, number in zip(tokens[1:], numbers[1:], strict=True))]
        if body.get("logprobs") is not None and self.endpoint.scores:
            constant = self.endpoint.constant
            told = numbers if constant is None else [constant] * len(numbers)
            choice["logprobs"] = {
                "tokens": tokens, "token_logprobs": told, "top_logprobs": rivals,
                "text_offset": list(range(first, first + len(tokens))),
            }  # fmt: skip
        return {"choices": [choice | {"text": text}], "usage": self._usage(body, chat, len(made))}

    def _of_prompt(self, prompt: str, place: int) -> float:
        if self.endpoint.chance:
            return -random.uniform(1.0, 6.0)  # noqa: S311 -- no secret
        before, token = (min(ord(one), END - 1) for one in (prompt[place - 1], prompt[place]))
        return logprob(before, token) + self.endpoint.off_by

    def _stream(self, body: dict[str, Any], chat: bool, cut_after: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        made = self._made(body, chat)
        for number, (text, _, _) in enumerate(made):
            if number == cut_after or self.server.over:  # type: ignore[attr-defined] # it is one of ours
                return
            time.sleep(self.endpoint.token_s)
            self._event({"choices": [{"index": 0, "finish_reason": None} | _said(text, chat)]})
        whole = len(made) == body.get(self.endpoint.limit_name if chat else "max_tokens", 16)
        self._event({"choices": [{"index": 0, "finish_reason": "length" if whole else "stop"} | _said("", chat)]})
        self._event({"choices": [], "usage": self._usage(body, chat, len(made))})
        self.wfile.write(b"data: [DONE]\n\n")

    def _event(self, told: Mapping[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(told)}\n\n".encode())
        self.wfile.flush()

    def _answer(self, told: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        payload = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(payload)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)


def _said(text: str, chat: bool) -> dict[str, Any]:
    return {"delta": {"content": text}} if chat else {"text": text}
