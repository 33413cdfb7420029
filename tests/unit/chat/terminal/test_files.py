"""Where a chat's files may lie, what is read from them, and how they are written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chat.terminal.files import MAX_FILE_BYTES, inside, load, read_text, write_whole
from proctor.errors import BadInput
from proctor.nouns.conversations import Role, Utterance


def test_a_name_is_a_file_of_the_folder(tmp_path: Path) -> None:
    assert inside(tmp_path, "talk.json") == tmp_path / "talk.json"
    (tmp_path / "below").mkdir()
    assert inside(tmp_path, "below/../talk.json") == tmp_path / "talk.json"


def test_an_absolute_path_is_refused_also_where_it_lies_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a file in"):
        inside(tmp_path, str(tmp_path / "talk.json"))


@pytest.mark.parametrize("name", ["", ".", "..", "../talk.json", "below/../../talk.json", "talk\0.json", "/talk.json"])
def test_what_lies_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is not a file in"):
        inside(tmp_path, name)


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(BadInput, match="is not a file in"):
        inside(folder, "out/talk.json")


def test_a_folder_is_told_by_where_it_really_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert inside(Path(), "talk.json") == tmp_path.resolve() / "talk.json"
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "there")
    assert inside(tmp_path / "here", "talk.json") == tmp_path.resolve() / "there" / "talk.json"


@pytest.mark.parametrize(
    "text",
    ['[{"role": "user", "content": "Hi"}]', '{"messages": [{"role": "user", "content": "Hi"}], "more": 1}'],
    ids=["a bare list", "an object"],
)
def test_messages_are_read_from_a_list_or_an_object_that_has_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "talk.json").write_text(text, "utf-8")
    assert load(tmp_path / "talk.json") == (Utterance(Role.USER, "Hi"),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no", "talk.json is no JSON"),
        ("[" * 100_000, "talk.json is no JSON"),
        ("[]", "holds no list of messages"),
        ('{"messages": []}', "holds no list of messages"),
        ('{"messages": "Hi"}', "holds no list of messages"),
        ('"Hi"', "holds no list of messages"),
        ("[1]", "message 1 is no object"),
        ('[{"role": "user", "content": "Hi"}, {"role": "cook", "content": "Hi"}]', "message 2 has the role 'cook'"),
        ('[{"role": ["user"], "content": "Hi"}]', "message 1 has the role"),
        ('[{"role": "user", "content": 1}]', "message 1 has no content that is text"),
    ],
    ids=range(10),
)
def test_what_holds_no_messages_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "talk.json").write_text(text, "utf-8")
    with pytest.raises(BadInput, match=problem):
        load(tmp_path / "talk.json")


def test_what_cannot_be_read_as_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    with pytest.raises(BadInput, match=r"no file 'notes\.txt' in"):
        read_text(path)
    path.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="no text in UTF-8"):
        read_text(path)
    path.write_bytes(b"x" * MAX_FILE_BYTES)
    assert len(read_text(path)) == MAX_FILE_BYTES
    path.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(BadInput, match="more than 8 MiB"):
        read_text(path)


def test_a_file_is_replaced_only_where_that_was_said_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    write_whole(path, "one", replace=False)
    with pytest.raises(BadInput, match="there already"):
        write_whole(path, "two", replace=False)
    assert path.read_text("utf-8") == "one"
    write_whole(path, "two", replace=True)
    assert path.read_text("utf-8") == "two"
    with pytest.raises(BadInput, match="can't be written"):
        write_whole(tmp_path / "nowhere" / "talk.json", "one", replace=False)
    assert [each.name for each in tmp_path.iterdir()] == ["talk.json"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, named = tmp_path / "talk.json", []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: named.append(path.exists()))
    write_whole(path, "one", replace=False)
    assert (named, path.read_text("utf-8")) == ([False], "one")
