"""`proctor chat` and `proctor serve` with nothing but this machine: their own broker and worker, a real model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import openai
import psutil
import pytest

from proctor.settings import Settings
from proctor.store.database.open import open_store
from proctor.store.runs import workers
from tests.integration.screen_of import terminal
from tests.models import cache_folder, smollm2
from tests.support import wait_until

pytestmark = pytest.mark.model


def environ(home: Path) -> dict[str, str]:
    """A new home, without any fleet."""
    smollm2()
    return {"PROCTOR_HOME": str(home), "PROCTOR_CACHE": str(cache_folder()), "PROCTOR_BROKER_URL": ""}


def test_a_newcomer_talks_to_a_model_and_finds_the_conversation_again(tmp_path: Path) -> None:
    told = environ(tmp_path / "home")
    with terminal(["chat", "-t", "0", "--max-tokens", "8"], told, tmp_path) as seen:
        seen.wait_for_prompt()
        assert "smollm2 · a worker of this machine" in seen.text
        family = psutil.Process(seen.child.pid).children(recursive=True)
        assert len(family) > 2
        first = seen.say("My name is Ada.", "first token")
        assert re.search(
            r"in \d+ of [\d,]+ · out 8 · first token", first.replace("cut at its longest, /continue goes on · ", "")
        )
        second = seen.say("What is my name?", "first token")
        assert re.search(r"in \d+ of [\d,]+, [1-9]\d* cached · out", second), second
        probed = seen.say("/probe arithmetic 1", "the key is")
        assert "nan" not in probed
        assert "exchanges 2" in seen.say("/stats", "tokens/s  model")
        seen.say("/save talk.json", "4 messages written to")
        for number in range(3, 8):
            seen.say(f"I have {number} cats and they like to sleep on the roof. Is that normal?", "first token")
        summarised = seen.say("/summary", "made by facts")
        assert "messages 1 to 6" in summarised
        assert "- User: My name is Ada." in summarised
        assert "earlier ones summarised" in " ".join(seen.say("And what is my name?", "first token").split())
        seen.type("/quit\r")
        assert seen.ended() == 0
    wait_until(lambda: not any(each.is_running() for each in family), "nothing was left running")
    listed = subprocess.run(
        [sys.executable, "-m", "proctor.cli", "chat", "search", "ada", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, **told},
        check=True,
    )
    (found,) = json.loads(listed.stdout)
    with terminal(["chat", "-c", "-t", "0", "--max-tokens", "8"], told, tmp_path) as seen:
        seen.wait_for_prompt()
        assert re.search(r"in \d+ of [\d,]+", seen.say("And once more?", "first token"))
        seen.type("/quit\r")
        assert seen.ended() == 0
    # Both scorings of the probe are kept too: a question and a reply without words each.
    assert (found["title"], found["messages"]) == ("My name is Ada.", 20)


def held(told: dict[str, str]) -> list[str]:
    """Names of the models that workers hold at this moment, by the database."""
    with open_store(Settings.read(told)) as store:
        return [each.held.model.partition("@")[0] for each in workers.listing(store) if each.held is not None]


def test_an_openai_client_is_served_by_one_command(tmp_path: Path) -> None:
    told = environ(tmp_path / "home")
    server = subprocess.Popen(
        [sys.executable, "-m", "proctor.cli", "serve", "--port", "0", "-m", "smollm2"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **told},
    )
    assert server.stderr is not None
    try:
        address = next(
            found.group() for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+", line))
        )
        with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
            wait_until(lambda: held(told) == ["smollm2"], "loaded before it is asked")
            assert "smollm2" in [each.id for each in client.models.list()]
            asked: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "Say hello."}]
            whole = client.chat.completions.create(
                model="smollm2", messages=asked, temperature=0, max_tokens=6, logprobs=True, top_logprobs=2
            )
            with client.chat.completions.create(
                model="smollm2", messages=asked, temperature=0, max_tokens=6, stream=True
            ) as stream:
                streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
            assert streamed == whole.choices[0].message.content
            assert whole.choices[0].logprobs is not None
            assert whole.choices[0].logprobs.content is not None
            assert len(whole.choices[0].logprobs.content) == 6
            assert client.models.retrieve("smollm2").id == "smollm2"
            raw = client.completions.create(
                model="smollm2", prompt="The capital of France is", max_tokens=3, temperature=0
            )
            assert "Paris" in raw.choices[0].text
    finally:
        server.terminate()
        server.wait(timeout=300)
        server.stderr.close()
