"""Conversations as files: what /save and `proctor chat export` write and /load reads.

The format is JSON that anyone can read: an object whose `messages` are a plain OpenAI-style list (`role`, `content`),
each with facts of ours beside it. A bare list of such messages is read too.

Inside a chat a file is named relative to the folder that the chat was started in, and stays in it: `..`, absolute
paths, and links that lead out are refused. A file is written whole or not at all, and none is replaced unless asked.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from proctor.errors import BadInput
from proctor.files import whole_file
from proctor.nouns.conversations import Conversation, Role, Turn, Utterance, path_to

MAX_FILE_BYTES = 8 << 20


def inside(folder: Path, name: str) -> Path:
    """The file `name` of `folder`.

    Raises
    ------
    BadInput
        where it would be anywhere else.
    """
    root = folder.resolve()
    path = root if "\0" in name else (root / name).resolve()
    if path == root or not path.is_relative_to(root) or Path(name).is_absolute():
        raise BadInput(
            f"{name!r} is not a file in {root}.",
            "Name one in this folder; `proctor chat export ID -o FILE` writes anywhere.",
        )
    return path


def save(story: Conversation, path: Path, *, replace: bool = False) -> int:
    """Write a conversation; returns the count of its messages.

    Raises
    ------
    BadInput
        where the file is there already and is not to be replaced, or can't be written.
    """
    document = as_document(story)
    write_whole(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n", replace=replace)
    return len(document["messages"])


def as_document(story: Conversation) -> dict[str, Any]:
    """A conversation in the format of this module, of the path that its last Turn is on."""
    path = path_to(story.turns, story.last_turn_id)
    return {
        "format": "proctor-conversation",
        "version": 1,
        "id": story.id,
        "title": story.title,
        "created_at": story.created_at.isoformat(),
        "messages": [_message(turn) for turn in path],
        "summaries": [
            {"through": each.through_id, "content": each.content, "method": each.method, "undone": bool(each.undone_at)}
            for each in story.summaries
        ],
    }


def load(path: Path) -> tuple[Utterance, ...]:
    """The messages of a file.

    Raises
    ------
    BadInput
        with the place of what is wrong: no such file, too large, no JSON, no messages.
    """
    try:
        said = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} is no JSON: {error}.") from None
    messages = said.get("messages") if isinstance(said, dict) else said
    if not isinstance(messages, list) or not messages:
        raise BadInput(f"{path.name} holds no list of messages.", 'It is [{"role": "user", "content": "…"}, …].')
    return tuple(_utterance(message, f"{path.name}, message {n}") for n, message in enumerate(messages, 1))


def read_text(path: Path) -> str:
    """A text file in UTF-8, whole. Raises `BadInput` for what is none, or is above `MAX_FILE_BYTES`."""
    try:
        if not path.is_file():
            raise BadInput(f"There is no file {path.name!r} in {path.parent}.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(f"{path.name} has more than {MAX_FILE_BYTES >> 20} MiB.")
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{path.name} is no text in UTF-8.") from None
    except OSError as error:
        raise BadInput(f"{path.name} can't be read: {error.strerror}.") from None


def write_whole(path: Path, text: str, *, replace: bool) -> None:
    """Write a file so that it is there whole or not at all. Raises `BadInput`."""
    try:
        with whole_file(path, replace=replace) as beside:
            beside.write_text(text, "utf-8")
    except FileExistsError:
        raise BadInput(f"{path.name} is there already.", "Take another name, or replace it with /save! FILE.") from None
    except OSError as error:
        raise BadInput(f"{path} can't be written: {error.strerror}.") from None


def _message(turn: Turn) -> dict[str, Any]:
    message: dict[str, Any] = {"role": turn.role.value, "content": turn.content}
    message["proctor"] = {"turn": turn.id, "at": turn.created_at.isoformat()}
    if turn.role is Role.ASSISTANT:
        message["proctor"] |= {
            "lane": turn.lane,
            "history": turn.history.value,
            "finish": turn.finish.value if turn.finish else None,
            "sampling": asdict(turn.sampling),
            "counts": asdict(turn.counts),
        }
    return message


def _utterance(message: object, place: str) -> Utterance:
    if not isinstance(message, dict):
        raise BadInput(f"{place} is no object with role and content.")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in (*Role,):
        raise BadInput(f"{place} has the role {role!r:.40}.", f"It is one of {', '.join(Role)}.")
    if not isinstance(content, str):
        raise BadInput(f"{place} has no content that is text.")
    return Utterance(Role(role), content)
