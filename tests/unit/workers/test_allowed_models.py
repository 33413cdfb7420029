"""Which models chat may ask a worker for, and that a refusal tells nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from chat.client.client import ReplySettings
from chat.server.run import with_list
from proctor.catalog import hub
from proctor.errors import BadInput, BadModel, NotServed
from proctor.nouns.models import ModelRef, ModelSource
from proctor.settings import Settings
from tests import tiny
from workers.allowed_models import AllowedModels, matches

NEUTRAL = (
    "Model NAME can't be asked for here: it is none of those that are served. The list of models names those that are."
)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of this test, with org/tiny in it; the hub itself is never to be asked."""

    def asked(repo: str, _revision: str | None) -> str:
        raise AssertionError(f"the hub was asked for {repo}")

    monkeypatch.setattr(hub, "commit", asked)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    place = tmp_path / "hub" / "models--org--tiny"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    tiny.make(place / "snapshots" / COMMIT)
    return tmp_path / "hub"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    tiny.make(tmp_path / "mine")
    return str(tmp_path / "mine")


def refusal(allowed: AllowedModels, name: str) -> str:
    with pytest.raises(NotServed) as refused:
        allowed.resolve(name)
    return str(refused.value)


def test_a_cached_model_is_taken_at_the_commit_that_is_cached_and_no_hub_is_asked(tmp_path: Path) -> None:
    allowed = AllowedModels(("cached",), tmp_path)
    tiny_model = ModelRef("org/tiny", ModelSource.HUB, COMMIT)
    assert allowed.resolve("org/tiny") == allowed.resolve(f"org/tiny@{COMMIT}") == tiny_model
    assert "served" in refusal(allowed, "org/tiny@other")


@pytest.mark.parametrize("patterns", [("cached",), ("org/*",), ("*",), ("mine", "/srv/*")])
def test_a_refusal_is_the_same_whatever_lies_behind_the_name(
    patterns: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    allowed = AllowedModels(patterns, tmp_path)
    secret = tmp_path / "secret.gguf"
    secret.write_text("no model")
    names = [
        str(secret),
        str(tmp_path / "secre"),
        str(tmp_path),
        "~root",
        "~nobody-here",
        "/etc/passwd",
        "../x",
        "y" * 300,
    ]
    told = {refusal(allowed, name).replace(repr(name), "NAME") for name in names}
    assert told == {NEUTRAL}
    assert len(caplog.messages) == len(names)


def test_a_name_that_is_not_allowed_starts_nothing(tmp_path: Path) -> None:
    assert refusal(AllowedModels(("cached", "Qwen/*"), tmp_path), "org/large")


def test_what_the_operator_named_and_what_is_held_is_allowed(folder: str, tmp_path: Path) -> None:
    named = AllowedModels((folder,), tmp_path).resolve(folder)
    assert named.source is ModelSource.FOLDER
    nothing = AllowedModels(("nothing",), tmp_path)
    assert nothing.resolve(folder, [str(named)]) == nothing.resolve(str(named), [str(named)]) == named
    assert refusal(nothing, folder)


def test_without_a_list_any_name_is_looked_up_and_its_fault_told(folder: str, tmp_path: Path) -> None:
    free = AllowedModels(None, tmp_path)
    assert free.resolve(folder).name == folder
    with pytest.raises(BadModel, match="there is nothing at this path"):
        free.resolve(f"{folder}/none")


def test_serve_allows_its_own_model_and_what_is_cached_unless_a_list_is_given(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, "sqlite:///x", allow_models=("org/*",))
    first = ReplySettings("./a[1]")
    bare = replace(settings, allow_models=None)
    assert with_list(bare, None, ()).allow_models == ("cached",)
    assert with_list(bare, first, ()).allow_models == ("./a[[]1]", "cached")
    assert with_list(settings, first, ()).allow_models == ("./a[[]1]", "org/*")
    assert with_list(settings, None, ("Qwen/*",)).allow_models == ("Qwen/*",)
    with pytest.raises(BadInput, match="holds a comma"):
        with_list(settings, None, ("a,b",))


@pytest.mark.parametrize("patterns", [None, ("cached",), ("Qwen/*", "./a[[]1]")])
def test_a_process_that_we_start_is_told_the_list_and_the_age_of_conversations(
    patterns: tuple[str, ...] | None, tmp_path: Path
) -> None:
    settings = Settings(tmp_path, tmp_path, "sqlite:///x", allow_models=patterns, chat_days=30.5 if patterns else None)
    assert Settings.read(settings.environ()) == settings


def test_an_age_of_conversations_that_is_none_is_refused() -> None:
    with pytest.raises(BadInput, match="PROCTOR_CHAT_DAYS='-1' is no number of days above 0"):
        Settings.read({"PROCTOR_CHAT_DAYS": "-1"})


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("Qwen/Qwen3-8B", "Qwen/*", True),
        ("qwen/Qwen3-8B", "Qwen/*", False),
        ("/srv/models/one", "/srv/models/*", True),
        ("/srv/models/../../etc/passwd", "/srv/models/*", False),
        ("/srv/models/..", "*", False),
        ("org/a..b", "org/*", True),
        ("a[1]", "a[[]1]", True),
    ],
)
def test_a_pattern_matches_names_and_never_the_way_out_of_a_folder(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected
