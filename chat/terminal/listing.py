"""`proctor chat list`, `search` and `export`: conversations that are kept. No model is loaded for any of them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from chat.client.client import new_id
from chat.client.connect import read_settings, reader, story_of
from chat.protocol.inquiries import Inquiry, InquiryKind
from chat.terminal import files
from chat.terminal.screen import plain
from proctor.nouns.conversations import ListedConversation, Role, path_to
from proctor.prose import folded


def show_list(text: str, limit: int, *, as_json: bool) -> None:
    """Conversations, those touched last first; with `text` those in which it was said."""
    ask = reader(read_settings(os.environ))
    found = ask(Inquiry(new_id(), InquiryKind.CONVERSATIONS, text=text, limit=limit)).conversations
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found], ensure_ascii=False))
    elif not found:
        click.echo(f"No conversation holds {plain(text)!r}." if text else "There is no conversation yet.")
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo("\n".join(listed(found, columns)))


def export(conversation: str, out: Path | None, kind: str, *, replace: bool) -> None:
    """A conversation as JSON or Markdown, to a file or to standard output."""
    story = story_of(reader(read_settings(os.environ))(Inquiry(new_id(), InquiryKind.CONVERSATION, conversation)))
    document = files.as_document(story)
    if kind == "json":
        text = json.dumps(document, ensure_ascii=False, indent=2)
    else:
        path = path_to(story.turns, story.last_turn_id)
        text = f"# {story.title}\n\n" + "\n\n".join(f"**{_speaker(turn.role)}:** {turn.content}" for turn in path)
    if out is None:
        click.echo(text if kind == "json" else plain(text))
        return
    files.write_whole(out.absolute(), text + "\n", replace=replace)
    click.echo(f"{len(document['messages'])} messages written to {out}", err=True)


def listed(found: Sequence[ListedConversation], columns: int | None) -> list[str]:
    """A line a conversation: id, last touched, messages, lane, title; where that is too wide, the title is below.

    `columns` are those of the terminal; None where there is none, and every line is whole.
    """
    lines = []
    for each in found:
        head = f"{each.id[:12]:12}  {each.touched_at.astimezone():%Y-%m-%d %H:%M}  {each.turns:>4}  {each.lane:<32}"
        title = plain(" ".join(each.title.split()))
        if columns is None or len(head) + 2 + len(title) <= columns:
            lines.append(f"{head}  {title}")
        else:
            lines += [folded(head.rstrip(), columns), folded(f"  {title}", columns)]
    return lines


def _as_json(each: ListedConversation) -> dict[str, object]:
    return {
        "id": each.id,
        "title": each.title,
        "created_at": each.created_at.isoformat(),
        "touched_at": each.touched_at.isoformat(),
        "messages": each.turns,
        "lane": each.lane,
    }


def _speaker(role: Role) -> str:
    return {Role.SYSTEM: "System", Role.USER: "You", Role.ASSISTANT: "Model"}[role]
