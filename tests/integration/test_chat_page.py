"""The page in a real Chromium: conversations, streaming, stop, history, what is read and summarised, two models."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chat.protocol.turns import TurnRequest
from chat.server.fleet import Service
from proctor.embedded.valkey import Valkey
from proctor.nouns.conversations import Fault, History
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.database.open import open_store
from tests.integration.browser import Page, chromium
from tests.integration.http_server import serving
from tests.integration.parrot import Parrot, Refusal, echo, empty, parrot, valkey
from tests.support import wait_until

TOKEN = "a token of many characters"
ATTACK = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
PICTURES = os.environ.get("PROCTOR_TEST_PICTURES", "")  # a folder: then the page is kept as a person sees it


def script(request: TurnRequest) -> Sequence[str] | Refusal:
    said = request.say[-1].content if request.say else ""
    if said == "refuse":
        return Refusal(Fault.TOO_LONG, "It takes 900 tokens and 512 fit.")
    if said == "crowd":
        return Refusal(Fault.FULL, "128 replies wait already.")
    if said == "rivers":
        return ["The", " Rhine", " and", " the", " Po." if request.quant == "none" else " Elbe."]
    if said == "story":
        return [f" word{n}" for n in range(400)]
    return echo(request)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey(tmp_path_factory.mktemp("broker")) as server:
        yield server


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture
def browser(chrome: Page) -> Page:
    """An empty tab of a desk's size, which has seen nothing yet: the test before had a server that is gone."""
    chrome.size(1200, 800)
    chrome.open("about:blank")
    chrome.problems.clear()
    chrome.requests.clear()
    return chrome


@pytest.fixture
def bird(broker: Valkey, tmp_path: Path) -> Iterator[Parrot]:
    empty(broker)
    with (
        open_store(Settings(tmp_path, tmp_path, f"sqlite:///{tmp_path / 'parrot.db'}")) as store,
        parrot(broker.url, script, store=store) as found,
    ):
        yield found


@pytest.fixture
def url(broker: Valkey, bird: Parrot) -> Iterator[str]:
    with serving(Service(broker.url)) as address:
        yield address


@pytest.fixture
def page(browser: Page, url: str) -> Iterator[Page]:
    browser.open(url)
    browser.wait_for("None yet.")
    yield browser
    assert browser.problems == []
    assert [each for each in browser.requests if not each.startswith((url, "data:", "about:"))] == []


def keep(page: Page, name: str) -> None:
    """Keep a picture for a person's eyes, where one asked for it."""
    if PICTURES:
        page.picture(Path(PICTURES) / f"{name}.png")


def say(page: Page, text: str) -> None:
    """Type a message and press Enter; the focus is in the box already."""
    page.type(text)
    page.press("Enter")


def last(bird: Parrot) -> TurnRequest:
    return list(bird.requests.values())[-1]


def test_a_conversation_by_keyboard_alone(page: Page, bird: Parrot) -> None:
    say(page, "Name three rivers.")
    page.wait_for("7 tokens in (3 cached), 3 out", "#log")
    page.wait_for("Name three rivers.", "#list")
    page.type("first line")
    page.press("Enter", shift=True)
    say(page, "second line")
    wait_until(lambda: last(bird).say[-1].content == "first line\nsecond line", "both lines were one message")
    assert len({request.conversation for request in bird.requests.values()}) == 1
    keep(page, "desktop")


@pytest.mark.parametrize("end", ["", "/"])
def test_the_page_works_under_a_path_of_a_proxys(browser: Page, broker: Valkey, bird: Parrot, end: str) -> None:
    with serving(Service(broker.url), under="/tools/proctor") as address:
        browser.open(f"{address}/tools/proctor{end}")
        browser.wait_for("None yet.")
        say(browser, "Name three rivers.")
        browser.wait_for("7 tokens in (3 cached), 3 out", "#log")
        browser.wait_for("Name three rivers.", "#list")
        assert browser.problems == []
        asked = [each for each in browser.requests if each.startswith(address)]
        assert all(each.startswith(f"{address}/tools/proctor") for each in asked)
        assert any(each.endswith("/v1/models") for each in asked)


def test_what_is_said_is_text_and_never_markup(page: Page) -> None:
    say(page, ATTACK)
    page.wait_for("tokens in", "#log")
    assert page.text("#log").count(ATTACK) == 2
    assert page.eval("document.title") == "Proctor: conversations"
    assert page.eval("document.querySelectorAll('#log img, #log script, #list img').length") == 0


def test_a_reply_streams_and_is_stopped_with_what_came(page: Page, bird: Parrot) -> None:
    bird.pause_s = 0.02
    say(page, "story")
    page.wait_for("word5", "#log")
    assert "word399" not in page.text("#log")
    assert page.eval("document.activeElement.id") == "stop"
    page.press("Escape")
    page.wait_for("stopped, this part is kept", "#log")
    assert "word399" not in page.text("#log")
    page.wait_for("Send", "#form")
    assert page.eval("document.activeElement.id") == "text"


def test_history_is_what_the_switch_says(page: Page, bird: Parrot) -> None:
    page.eval("document.getElementById('history').value = 'off'")
    say(page, "hello")
    page.wait_for("tokens in", "#log")
    assert last(bird).history is History.OFF


def test_two_models_stand_side_by_side_and_where_they_part_is_marked(page: Page, bird: Parrot) -> None:
    page.eval("document.getElementById('rival').value = 'smollm2:4bit'")
    say(page, "rivers")
    wait_until(lambda: page.text("#log").count("tokens in") == 2, "both had ended")
    assert page.eval("[...document.querySelectorAll('.pair h3')].map(each => each.textContent)") == [
        "smollm2",
        "smollm2:4bit",
    ]
    wait_until(lambda: page.eval("document.querySelectorAll('mark').length") == 2, "the difference was marked")
    assert page.eval("[...document.querySelectorAll('mark')].map(each => each.textContent)") == ["Po.", "Elbe."]
    assert len({request.conversation for request in bird.requests.values()}) == 2
    keep(page, "pair")


def test_conversations_are_found_opened_and_gone_on_with(page: Page, bird: Parrot, url: str) -> None:
    for said in ("A heron wades.", "Rivers run."):
        page.click("#new")
        say(page, said)
        page.wait_for(said, "#list")
    page.click("#search")
    page.type("heron")
    wait_until(lambda: "Rivers" not in page.text("#list") and "heron" in page.text("#list"), "the list was searched")
    page.click("#list button")
    page.wait_for("A heron wades.", "#log")
    first = bird.requests[next(iter(bird.requests))].conversation
    page.open(f"{url}/#{first}")
    page.wait_for("A heron wades.", "#log")
    page.click("#text")
    say(page, "It flies.")
    page.wait_for("It flies.", "#log")
    wait_until(lambda: last(bird).say[-1].content == "It flies.", "it was said")
    assert last(bird).conversation == first


def test_summaries_are_shown_and_taken_back(page: Page, bird: Parrot, url: str) -> None:
    say(page, "My name is Ada.")
    page.wait_for("My name is Ada.", "#list")
    assert bird.store is not None
    request = last(bird)
    conversations.add_summary(
        bird.store,
        request.conversation,
        request.turn,
        content=f"Ada {ATTACK}",
        method="facts",
        source_tokens=9,
        tokens=3,
    )
    page.open(f"{url}/?again#{request.conversation}")
    page.wait_for("Summary of messages 1 to 2 by facts", "#log")
    page.click("details summary")
    page.wait_for(f"Ada {ATTACK}", "details")
    page.click("details button")
    page.wait_for("taken back", "#log")
    assert page.eval("document.querySelectorAll('details button').length") == 0


def test_a_failure_is_told_and_the_page_goes_on(page: Page) -> None:
    say(page, "refuse")
    page.wait_for("It takes 900 tokens and 512 fit.", "#log")
    say(page, "still here")
    page.wait_for("2 out", "#log")


def test_a_message_that_was_refused_is_still_there_to_be_said(page: Page) -> None:
    say(page, "crowd")
    page.wait_for("128 replies wait already.", "#log")
    wait_until(lambda: page.eval("document.getElementById('text').value") == "crowd", "the message was back")
    page.problems.clear()  # the console tells that there is no such conversation


def test_it_fits_a_phone_light_and_dark(page: Page) -> None:
    page.size(360, 640, phone=True)
    say(page, "hello " + "longwordwithoutanybreak" * 6)
    page.wait_for("tokens in", "#log")
    keep(page, "phone")
    assert page.eval("document.documentElement.scrollWidth") <= 360
    light = page.eval("getComputedStyle(document.body).backgroundColor")
    page.click("#menu")
    page.wait_for("hello", "#list")
    keep(page, "phone_menu")
    page.press("Escape")
    assert page.eval("getComputedStyle(document.getElementById('nav')).display") == "none"
    page.size(360, 640, phone=True, dark=True)
    assert page.eval("getComputedStyle(document.body).backgroundColor") != light
    keep(page, "phone_dark")
    small = page.eval(
        "[...document.querySelectorAll('button')].filter(each => each.offsetParent && each.offsetHeight < 40).length"
    )
    assert small == 0


def test_every_control_has_a_name_and_can_be_reached_by_tab(page: Page) -> None:
    nameless = page.eval(
        "[...document.querySelectorAll('button, input, select, textarea')].filter(each =>"
        " !(each.textContent.trim() || each.ariaLabel || each.labels?.length)).map(each => each.outerHTML)"
    )
    assert nameless == []
    reached = set()
    for _ in range(14):
        page.press("Tab")
        reached.add(page.eval("document.activeElement.id"))
    assert {"new", "search", "model", "rival", "history", "text", "send"} <= reached


def test_a_page_of_a_guarded_server_asks_for_its_token(browser: Page, broker: Valkey, bird: Parrot) -> None:
    with serving(Service(broker.url, TOKEN)) as address:
        browser.open(address)
        browser.wait_for("This server wants its token", "dialog")
        browser.type("wrong")
        browser.press("Enter")
        wait_until(lambda: browser.eval("document.getElementById('ask').open") is True, "it asked again")
        browser.type(TOKEN)
        browser.press("Enter")
        browser.wait_for("None yet.", "#list")
        browser.problems.clear()  # the console tells of the answers 401
