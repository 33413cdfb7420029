"""Failures as HTTP answers, in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

from chat.client.client import EarlierRelease, NobodyAnswers, ScoresLost, TurnFailed
from chat.protocol.inquiries import Unanswered
from chat.protocol.turns import Ending
from chat.server.requests import BadParameter
from proctor.errors import BadInput, BrokerUnavailable, ProctorError, UnknownName
from proctor.nouns.conversations import Fault

INVALID = "invalid_request_error"


class ErrorBody(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The answer to a request that failed."""

    error: ErrorBody


@dataclass(frozen=True)
class Kind:
    """An HTTP status, and the words that clients look at."""

    status: int
    type: str
    code: str | None = None


OF_FAULT = {
    Fault.BUSY: Kind(409, "conflict_error", "conversation_busy"),
    Fault.FULL: Kind(429, "rate_limit_error", "rate_limit_exceeded"),
    Fault.BAD_REQUEST: Kind(422, INVALID, "unprocessable"),
    Fault.TOO_LONG: Kind(400, INVALID, "context_length_exceeded"),
    Fault.BAD_MODEL: Kind(404, INVALID, "model_not_found"),
    Fault.INTERNAL: Kind(500, "server_error", "internal_error"),
}


def body(kind: Kind, message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind.type, "param": param, "code": kind.code}}


def answer(
    kind: Kind, message: str, param: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(body(kind, message, param), kind.status, headers)


def kind_of(error: ProctorError) -> Kind:
    """What an error of ours is over HTTP."""
    match error:
        case TurnFailed():
            return OF_FAULT[error.ending.fault or Fault.INTERNAL]
        case NobodyAnswers() | EarlierRelease() | ScoresLost() | BrokerUnavailable():
            return Kind(503, "server_error", "unavailable")
        case BadParameter():
            return Kind(400, INVALID, "invalid_value")
        case UnknownName() | Unanswered():
            return Kind(404, INVALID, "not_found")
        case BadInput():
            return Kind(422, INVALID, "unprocessable")
    return Kind(500, "server_error", "internal_error")


def of_error(error: ProctorError) -> JSONResponse:
    """The answer to a request that one of our errors ended."""
    kind = kind_of(error)
    headers = {}
    if isinstance(error, TurnFailed) and kind.status == 429:
        headers["Retry-After"] = str(max(1, round(error.ending.retry_after_s)))
    elif kind.status == 503:
        headers["Retry-After"] = "5"
    return answer(kind, message_of(error), param_of(error), headers)


def message_of(error: ProctorError) -> str:
    """The words; of a Turn that was too long with both numbers, as clients look for them."""
    if isinstance(error, TurnFailed) and error.ending.fault is Fault.TOO_LONG and error.ending.window_tokens:
        return too_long(error.ending, error.asked)
    return str(error)


def param_of(error: ProctorError) -> str | None:
    if isinstance(error, BadParameter):
        return error.parameter
    if isinstance(error, TurnFailed):
        return {Fault.TOO_LONG: error.asked, Fault.BAD_MODEL: "model"}.get(error.ending.fault or Fault.INTERNAL)
    return None


def too_long(ending: Ending, asked: str) -> str:
    return (
        f"This model's maximum context length is {ending.window_tokens} tokens, and your {asked} resulted in "
        f"{ending.counts.tokens_in} tokens. {ending.error}"
    ).rstrip()


def of_validation(errors: Sequence[Mapping[str, Any]], said: object) -> JSONResponse:
    """The answer to what doesn't have the form that it should. `said` is the body: JSON that was read, or bytes.

    415 for another Content-Type, 400 for what isn't supported or no JSON, else 422.
    """
    if isinstance(said, bytes) and said:
        return answer(Kind(415, INVALID, "unsupported_media_type"), "send Content-Type: application/json")
    if errors[0]["type"] == "json_invalid":
        return answer(Kind(400, INVALID, "invalid_json"), f"The body is no JSON: {errors[0]['msg']}.")
    first = min(errors, key=lambda each: (not _is_unsupported(each), -len(_walk(each, said))))
    name = _place(_walk(first, said))
    if not name:
        return answer(Kind(422, INVALID, "invalid_value"), "The body is no JSON object.")
    if first["type"] == "extra_forbidden":
        return answer(Kind(400, INVALID, "unsupported_parameter"), f"{name} is not supported by this server.", name)
    if _is_unsupported(first):
        message = f"{name} is not supported by this server at this value: {_in_words(first)}."
        return answer(Kind(400, INVALID, "unsupported_value"), message, name)
    return answer(Kind(422, INVALID, "invalid_value"), f"{name}: {first['msg'].removeprefix('Value error, ')}.", name)


def _is_unsupported(error: Mapping[str, Any]) -> bool:
    """Whether a field is one that this server doesn't have, or has at the value only that changes nothing."""
    return error["type"] in ("extra_forbidden", "literal_error") or _must_be_empty(error)


def _must_be_empty(error: Mapping[str, Any]) -> bool:
    return bool(error["type"] == "too_long" and error["ctx"]["max_length"] == 0)


def _in_words(error: Mapping[str, Any]) -> str:
    return "it has to be empty" if _must_be_empty(error) else error["msg"].lower()


def _walk(error: Mapping[str, Any], said: object) -> list[str | int]:
    """The way to what an error is about, through what was sent.

    pydantic's own has the names of its types between (`function-after[_no_nul(), constrained-str]`): those stand for no
    field, and only a field that is missing isn't found in what was sent.
    """
    location = list(error["loc"])
    if location[0] in ("query", "path"):
        return location[1:]
    way: list[str | int] = []
    for number, part in enumerate(location[1:], 2):
        lacking = error["type"] == "missing" and number == len(location)
        if isinstance(part, int) and isinstance(said, list) and part < len(said):
            said = said[part]
        elif isinstance(part, str) and isinstance(said, dict) and (part in said or lacking):
            said = said.get(part)
        else:
            continue
        way.append(part)
    return way


def _place(way: Sequence[str | int]) -> str:
    """`("messages", 0, "role")` as `messages[0].role`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in way).lstrip(".")
