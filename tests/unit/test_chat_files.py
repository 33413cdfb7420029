"""Where a chat's files may lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.files import inside
from proctor.errors import BadInput


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
