"""The page, and what it asks of the server: conversations, Turns as server-sent events, stop, summaries.

The page is one file without any request to elsewhere; its Content-Security-Policy allows its own script and style by
their hashes, and connections to this server alone. A Turn's stream may be asked for again under the same id, after a
lost connection: it is told from the beginning, and nothing is said twice to the model.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from pydantic import Field

from chat.client.aio import AsyncReply
from chat.client.client import new_id
from chat.protocol.inquiries import Inquiry, InquiryKind, Unanswered
from chat.protocol.turns import TurnRequest, check_id
from chat.server import errors
from chat.server.requests import Form, ModelName, Text, split_name
from chat.server.responses import event
from proctor.errors import ProctorError
from proctor.nouns.conversations import Conversation, History, Role, Sampling, Utterance
from proctor.wire import to_json

if TYPE_CHECKING:
    from chat.server.fleet import FleetClient

FILE = Path(__file__).with_name("page.html")
STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}, "text/event-stream": {}}}}
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")]


class SaidForm(Form):
    """A message of the page's."""

    role: Role
    content: Text


class TurnForm(Form):
    """`POST /api/turns`: a Turn of a conversation that the server keeps."""

    turn: Id
    conversation: Id
    model: ModelName
    say: list[SaidForm] = Field(default_factory=list, max_length=20)
    after: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] | None = None
    history: History = History.SUMMARY
    temperature: float = Field(0.7, ge=0, le=2)
    max_tokens: int | None = Field(None, ge=1, le=1 << 31)

    def request(self) -> TurnRequest:
        """The Turn. Raises `BadInput`."""
        model, quant = split_name(self.model)
        return TurnRequest(
            turn=self.turn,
            conversation=self.conversation,
            model=model,
            quant=quant,
            say=tuple(Utterance(each.role, each.content) for each in self.say),
            after=self.after,
            sampling=Sampling(temperature=self.temperature, max_tokens=self.max_tokens),
            history=self.history,
        )


class UndoForm(Form):
    """Which summary is taken back."""

    summary: int = Field(ge=1, le=1 << 53)


def add(app: FastAPI, fleet: FleetClient) -> None:
    """The page's routes."""

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        text, policy = _page()
        return HTMLResponse(text, headers={**SAFE_HEADERS, "Content-Security-Policy": policy})

    @app.get("/api/conversations", response_model=None)
    async def conversations(
        text: Annotated[str, Query(max_length=200)] = "", limit: Annotated[int, Query(ge=1, le=200)] = 50
    ) -> dict[str, Any]:
        """Conversations, those touched last first."""
        found = await fleet.inquire(Inquiry(new_id(), InquiryKind.CONVERSATIONS, text=text, limit=limit))
        return {"conversations": [json.loads(to_json(each)) for each in found.conversations]}

    @app.get("/api/conversations/{conversation}", response_model=None)
    async def conversation(conversation: str) -> dict[str, Any]:
        """All of one."""
        found = await fleet.inquire(Inquiry(new_id(), InquiryKind.CONVERSATION, conversation))
        return _told(found.story)

    @app.post("/api/conversations/{conversation}/undo", response_model=None)
    async def undo(conversation: str, form: UndoForm) -> dict[str, Any]:
        """Take a summary back."""
        asked = Inquiry(new_id(), InquiryKind.UNDO_SUMMARY, conversation, summary=form.summary)
        return _told((await fleet.inquire(asked)).story)

    @app.post("/api/turns", response_model=None, responses=STREAMED)
    async def turns(form: TurnForm) -> Response:
        """Say something; what comes is told as events. Leaving stops nothing."""
        reply = await fleet.client.ask(form.request())
        return StreamingResponse(_entries(reply), media_type="text/event-stream", headers=SAFE_HEADERS)

    @app.post("/api/turns/{turn}/stop", response_model=None)
    async def stop(turn: str) -> dict[str, Any]:
        """Stop a reply; what came is kept."""
        check_id("turn", turn)
        await fleet.client.stop(turn)
        return {"stopping": turn}


SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


async def _entries(reply: AsyncReply) -> AsyncIterator[str]:
    """Each entry of a reply as an event that names its kind."""
    try:
        async for entry in reply.entries():
            yield event({"kind": type(entry).__name__.lower(), **json.loads(to_json(entry))})
    except ProctorError as error:
        yield event({"kind": "error", "error": str(error), "status": errors.kind_of(error).status})


def _told(story: Conversation | None) -> dict[str, Any]:
    """A conversation without token ids, which the page has no use for."""
    if story is None:
        raise Unanswered("The answer holds no conversation.")
    said: dict[str, Any] = json.loads(to_json(story))
    for turn in said["turns"]:
        del turn["token_ids"], turn["logprobs"]
    return said


@cache
def _page() -> tuple[str, str]:
    """The file, and the policy that lets nothing but what is in it run."""
    text = FILE.read_text("utf-8")
    scripts = " ".join(_hashes(text, "script"))
    styles = " ".join(_hashes(text, "style"))
    return text, (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(text: str, tag: str) -> list[str]:
    bodies = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return [f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in bodies]
