"""`proctor chat` in a real terminal and in a pipe, with a real broker and a worker that repeats what it is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chat.protocol.turns import TurnRequest
from proctor.embedded.valkey import Valkey
from proctor.nouns.conversations import Fault, History, Role, Sampling
from proctor.settings import Settings
from proctor.store.database.open import open_store
from tests.integration.parrot import Parrot, Refusal, echo, empty, parrot, valkey
from tests.integration.screen_of import Seen, terminal

AFTER = "first token"  # stands in the line after each reply
STORY = " ".join(f"word{n}" for n in range(200))


def script(request: TurnRequest) -> Sequence[str] | Refusal:
    """Repeats the last message; some messages mean something."""
    said = request.say[-1].content if request.say else ""
    if said == "refuse":
        return Refusal(Fault.TOO_LONG, "It takes 900 tokens and 512 fit.")
    if said == "attack":
        return ["\x1b[2J\x1b]0;owned\x07", " \u202eevil", "\ttab", "\r", "end"]
    if said == "tell":
        return STORY.split(" ")
    if said == "tell it in words":
        return [f"{word} " for word in STORY.split(" ")]
    return echo(request) if said else ["another", " answer"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture
def bird(broker: Valkey, tmp_path: Path) -> Iterator[Parrot]:
    empty(broker)
    settings = Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'parrot.db'}")
    with open_store(settings) as store, parrot(broker.url, script, store=store) as found:
        yield found


@pytest.fixture
def environ(broker: Valkey, tmp_path: Path) -> dict[str, str]:
    return {"PROCTOR_BROKER_URL": broker.url, "PROCTOR_HOME": str(tmp_path / "home")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "here"
    found.mkdir()
    return found


@pytest.fixture
def seen(bird: Parrot, environ: dict[str, str], folder: Path) -> Iterator[Seen]:
    with terminal(["chat", "-m", "parrot"], environ, folder) as found:
        found.wait_for_prompt()
        yield found


def run(
    arguments: list[str], environ: dict[str, str], folder: Path, said: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proctor.cli", *arguments],
        input=said,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **environ},
        timeout=300,
        check=False,
    )


def test_a_conversation_says_what_it_talks_to_streams_and_counts(seen: Seen, broker: Valkey) -> None:
    assert f"parrot · 127.0.0.1:{broker.port} · history on" in seen.text
    assert broker.password not in seen.text
    after = seen.say("Good morning to you.", AFTER)
    assert "Good morning to you." in after
    assert "in 7 of 512, 3 cached · out 4 · first token 0.25 s · 6.0 tokens/s" in after
    seen.type("/quit\r")
    assert seen.ended() == 0


def test_ctrl_c_stops_the_reply_keeps_the_part_and_stays(seen: Seen, bird: Parrot) -> None:
    bird.pause_s = 0.02
    seen.type("tell\r")
    seen.wait_for("word3")
    seen.type("\x03")
    seen.wait_for("stopped, this part is kept")
    assert "word199" not in seen.text
    assert "still here" in seen.say("still here", "out 2")
    seen.type("\x03")  # at the prompt it does no harm
    assert "and here" in seen.say("and here", "out 2")
    seen.type("\x04")
    assert seen.ended() == 0


def test_the_second_ctrl_c_does_not_wait(seen: Seen, bird: Parrot) -> None:
    bird.before_piece = lambda seq: bird.go_on.clear() if seq == 3 else None
    seen.type("tell\r")
    seen.wait_for("word2")
    seen.type("\x03")
    seen.type("\x03")
    seen.wait_for("not waited for")
    bird.go_on.set()
    bird.before_piece = lambda _seq: None
    assert "next" in seen.say("next", "out 1")


def test_what_a_model_says_cannot_drive_the_terminal(seen: Seen) -> None:
    after = seen.say("attack", AFTER)
    assert "\\x1b[2J\\x1b]0;owned\\x07 \\u202eevil" in after
    assert "\\rend" in after
    said = seen.raw.partition(b"attack")[2]
    assert b"\x1b[2J" not in said
    assert b"\x1b]0;" not in said
    assert "\u202e".encode() not in said


def test_no_word_of_a_reply_is_torn_at_the_edge(seen: Seen) -> None:
    after = seen.say("tell it in words", AFTER)
    assert after.split()[: len(STORY.split())] == [*STORY.split()]


def test_keys_pressed_during_a_reply_wait_for_the_prompt(seen: Seen, bird: Parrot) -> None:
    bird.before_piece = lambda seq: bird.go_on.clear() if seq == 3 else None
    seen.type("tell\r")
    seen.wait_for("word2")
    seen.type("and then?")
    bird.before_piece = lambda _seq: None
    bird.go_on.set()
    seen.wait_for("> and then?")
    assert seen.text.count("and then?") == 1
    seen.type("\r")
    seen.wait_for("out 2")


def test_what_is_asked_about_a_conversation_before_it_began_is_said_so(seen: Seen) -> None:
    for line in ("/summary", "/stats", "/save talk.json"):
        assert "Nothing has been said in this conversation yet." in seen.say(line, "yet.")


def test_history_system_and_settings_are_what_is_asked_for(seen: Seen, bird: Parrot) -> None:
    seen.say("/history off", "reads only what you say now")
    seen.say("/system You are a pirate.", "the system prompt from your next message on")
    seen.say("/set temperature 0", "temperature 0.0")
    seen.say("/set stop END|\\n", "stop END|\\n")
    seen.say("ahoy", AFTER)
    request = list(bird.requests.values())[-1]
    assert [(each.role, each.content) for each in request.say] == [
        (Role.SYSTEM, "You are a pirate."),
        (Role.USER, "ahoy"),
    ]
    assert (request.history, request.sampling.temperature) == (History.OFF, 0.0)
    assert request.sampling.stop == ("END", "\n")


def test_retry_and_continue_follow_the_right_turns(seen: Seen, bird: Parrot) -> None:
    seen.say("hello", AFTER)
    first = list(bird.requests.values())[-1]
    seen.say("/retry", "another answer")
    retried = list(bird.requests.values())[-1]
    assert (retried.say, retried.after) == ((), f"{first.turn}-0")
    seen.say("/continue", "out 2")
    assert list(bird.requests.values())[-1].after == retried.turn


def test_a_failed_reply_is_told_and_the_chat_goes_on(seen: Seen) -> None:
    assert "900 tokens and 512 fit" in seen.say("refuse", "512 fit")
    seen.say("/nonsense", "Unknown command '/nonsense'")
    seen.say("/set temperature hot", "'hot' is no value of temperature")
    assert "still here" in seen.say("still here", AFTER)


def test_save_load_and_clear(seen: Seen, bird: Parrot, folder: Path) -> None:
    seen.say("my name is Ada", AFTER)
    seen.say("/save talk.json", "2 messages written to")
    saved = json.loads((folder / "talk.json").read_text("utf-8"))
    assert [(each["role"], each["content"]) for each in saved["messages"]] == [
        ("user", "my name is Ada"),
        ("assistant", "my name is Ada"),
    ]
    seen.say("/save talk.json", "talk.json is there already")
    seen.say("/save! talk.json", "2 messages written to")
    first = list(bird.requests.values())[-1].conversation
    seen.say("/load talk.json", "2 messages read from")
    seen.say("go on", "go on")
    request = list(bird.requests.values())[-1]
    assert request.conversation != first
    assert [each.content for each in request.say] == ["my name is Ada", "my name is Ada", "go on"]
    seen.say("/clear", "a new conversation")
    seen.say("anew", "out 1")
    assert [each.content for each in list(bird.requests.values())[-1].say] == ["anew"]


@pytest.mark.parametrize("name", ["../out.json", "/out.json", "link/out.json", "..", "."])
def test_files_of_a_chat_stay_in_its_folder(seen: Seen, folder: Path, name: str) -> None:
    (folder / "link").symlink_to(folder.parent)
    seen.say("hello", "out 1")
    seen.say(f"/save {name}", "is not a file in")
    seen.say(f"/load {name}", "is not a file in")
    assert not (folder.parent / "out.json").exists()


def test_stats_and_summary_show_what_is_kept(seen: Seen) -> None:
    seen.say("hello", "out 1")
    shown = seen.say("/stats", "tokens/s  model")
    assert "messages 2 (system 0, user 1, assistant 1), exchanges 1, on other branches 0" in shown
    assert "history on, summaries 0 in use, 0 taken back" in shown
    seen.say("/summary", "nothing is summarised yet")
    seen.say("/summary undo", "No summary is in use.")


def test_a_file_and_an_exam_question_can_be_put(seen: Seen, bird: Parrot, folder: Path) -> None:
    (folder / "notes.txt").write_text("Herons wade.\n", "utf-8")
    seen.say("/file notes.txt What wades?", AFTER)
    assert list(bird.requests.values())[-1].say[-1].content == "What wades?\n\nnotes.txt:\n```\nHerons wade.\n```"
    shown = seen.say("/probe arithmetic:1", "the key is")
    assert "here it picks A, alone A" in shown
    here, alone = list(bird.requests.values())[-2:]
    assert (here.history, alone.history) == (History.SUMMARY, History.OFF)
    assert here.options == alone.options == ("A", "B", "C", "D")


def test_an_exam_question_whose_answer_is_written_can_be_put(
    bird: Parrot, environ: dict[str, str], folder: Path
) -> None:
    with terminal(["chat", "-m", "parrot", "--benchmark", "demo_words"], environ, folder) as seen:
        seen.wait_for_prompt()
        shown = seen.say("/probe demo_words:1", "the answer is")
    assert "here: " in shown
    here, alone = list(bird.requests.values())[-2:]
    assert (here.apart, alone.apart, alone.history) == (True, True, History.OFF)
    assert here.say[-1].content.startswith("Question: ")


def test_lines_of_earlier_sessions_come_back_and_pasted_lines_are_one_message(
    seen: Seen, bird: Parrot, environ: dict[str, str], folder: Path
) -> None:
    seen.type("\x1b[200~first line\nsecond line\x1b[201~")
    seen.wait_for("second line")
    seen.type("\r")
    seen.wait_for(AFTER)
    assert list(bird.requests.values())[-1].say[-1].content == "first line\nsecond line"
    seen.say("remember me", "out 2")
    seen.type("/quit\r")
    seen.ended()
    with terminal(["chat", "-c"], environ, folder) as again:
        again.wait_for_prompt()
        assert "first line" in again.text
        again.type("\x1b[A")
        again.wait_for("> /quit")
        again.type("\x1b[A")
        again.wait_for("> remember me", 2)
        again.type("\r")
        again.wait_for("out 2")
    conversations = {request.conversation for request in bird.requests.values()}
    assert len(conversations) == 1
    assert oct((Path(environ["PROCTOR_HOME"]) / "chat-lines").stat().st_mode)[-2:] == "00"


def test_a_pipe_gets_one_reply_without_colour_and_an_exit_code(
    bird: Parrot, environ: dict[str, str], folder: Path
) -> None:
    done = run(["chat", "-m", "parrot", "-t", "0"], environ, folder, "Name three rivers.\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Name three rivers.\n", "")
    attacked = run(["chat", "-m", "parrot"], environ, folder, "attack")
    assert "\x1b" not in attacked.stdout
    failed = run(["chat", "-m", "parrot"], environ, folder, "refuse")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Error: It takes 900 tokens and 512 fit." in failed.stderr
    empty = run(["chat", "-m", "parrot"], environ, folder, " \n")
    assert (empty.returncode, "Nothing was piped in" in empty.stderr) == (2, True)


def test_kept_conversations_are_listed_searched_exported_and_gone_on_with(
    bird: Parrot, environ: dict[str, str], folder: Path
) -> None:
    for said in ("A heron wades.", "Rivers run."):
        run(["chat", "-m", "parrot"], environ, folder, said)
    listed = json.loads(run(["chat", "list", "--json"], environ, folder).stdout)
    assert [each["title"] for each in listed] == ["Rivers run.", "A heron wades."]
    (found,) = json.loads(run(["chat", "search", "HERON", "--json"], environ, folder).stdout)
    assert run(["chat", "search", "nothing"], environ, folder).stdout == "No conversation holds 'nothing'.\n"
    exported = run(["chat", "export", found["id"], "-o", "heron.json"], environ, folder)
    assert exported.returncode == 0
    assert json.loads((folder / "heron.json").read_text("utf-8"))["title"] == "A heron wades."
    again = run(["chat", "export", found["id"], "-o", "heron.json"], environ, folder)
    assert (again.returncode, "there already" in again.stderr) == (2, True)
    markdown = run(["chat", "export", found["id"][:8], "--format", "markdown"], environ, folder).stdout
    assert "**You:** A heron wades.\n\n**Model:** A heron wades." in markdown
    run(["chat", "--resume", found["id"][:8]], environ, folder, "It flies.")
    assert list(bird.requests.values())[-1].conversation == found["id"]
    unknown = run(["chat", "--resume", "zzz"], environ, folder, "hello")
    assert (unknown.returncode, "Unknown conversation" in unknown.stderr) == (1, True)


def test_two_models_stand_side_by_side_with_the_token_at_which_they_part(
    broker: Valkey, environ: dict[str, str], folder: Path
) -> None:
    def two(request: TurnRequest) -> Sequence[str]:
        return ["Herons", " wade", " deep" if request.quant == "none" else " far", "."]

    with parrot(broker.url, two):
        done = run(["chat", "compare", "Hello", "-m", "parrot", "-q", "none", "-q", "4bit"], environ, folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Herons wade deep\. +\| Herons wade far\.", done.stdout)
    assert "4 tokens, 6.0 tokens/s" in done.stdout
    assert "They differ from token 3: ' deep' and ' far'." in done.stdout


def test_a_conversation_is_said_again_in_another_manner(bird: Parrot, environ: dict[str, str], folder: Path) -> None:
    reply_settings = ["-t", "0.3", "--seed", "5", "--max-tokens", "9", "--history", "window"]
    run(["chat", "-m", "parrot", "--system", "Be kind.", *reply_settings], environ, folder, "A heron wades.")
    (first,) = json.loads(run(["chat", "list", "--json"], environ, folder).stdout)
    done = run(["chat", "replay", first["id"], "-q", "4bit", "--history", "off", "-t", "0"], environ, folder)
    assert done.returncode == 0, done.stderr
    assert "They say the same." in done.stdout
    request = list(bird.requests.values())[-1]
    assert (request.quant, request.history, request.model) == ("4bit", History.OFF, "parrot")
    assert [each.content for each in request.say] == ["Be kind.", "A heron wades."]
    assert request.conversation != first["id"]
    assert request.sampling == Sampling(temperature=0.0, seed=5, max_tokens=9)  # what isn't asked for is as it was
    run(["chat", "replay", first["id"], "-q", "8bit"], environ, folder)
    request = list(bird.requests.values())[-1]
    assert (request.quant, request.history) == ("8bit", History.WINDOW)
    assert request.sampling == Sampling(temperature=0.3, seed=5, max_tokens=9)


def test_a_models_name_misspelt_is_said_before_anything_is_started(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    said = run(["chat", "-m", "smolm2"], {"PROCTOR_BROKER_URL": "", "PROCTOR_HOME": str(home)}, folder, "Hello")
    assert (said.returncode, "Did you mean smollm2?" in said.stderr) == (2, True)
    assert not list(home.glob("**/guard-*"))
