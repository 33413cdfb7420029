"""Many conversations at once on a worker that sits a sweep at the same time. One JSON line.

    python -m bench.chat_load --model smollm2 --conversations 32 --turns 2

The real thing on this machine: an embedded broker, one worker, a sweep, and as many clients as conversations, each of
which says its next message when the last reply has ended. Times are the clients'. Nothing may be lost: every reply is
in the database as its client heard it, and every question has one Answer.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from chat.client.client import Client, ReplySettings, new_id
from chat.protocol.turns import Piece
from proctor.embedded.command import embedded
from proctor.nouns.conversations import Finish, Sampling
from proctor.nouns.exams import Conditions
from proctor.nouns.models import DType, Quant
from proctor.nouns.runs import RunStatus, SweepRequest
from proctor.settings import Settings
from proctor.store.conversations import conversations
from proctor.store.database.open import open_store
from proctor.store.database.session import Store
from proctor.store.reads import records
from scheduler.prepare import prepare
from scheduler.submit import write_down

_LOOK_S = 0.2
_UNDER_WAY = (RunStatus.PENDING, RunStatus.RUNNING)
_SAID = "Tell me about number {number}: what is it good for, and who counted it first?"


@dataclass(frozen=True)
class Heard:
    """One reply, as its client saw it."""

    turn: str
    text: str
    first_s: float
    whole_s: float
    tokens: int


def main() -> None:
    asked = _arguments()
    with TemporaryDirectory() as home:
        environ = {**os.environ, "PROCTOR_HOME": home, "PROCTOR_CACHE": str(asked.cache.resolve())}
        settings = Settings.read({**environ, "PROCTOR_BROKER_URL": ""})
        with open_store(settings) as store, embedded(settings, "auto") as crew:
            with Client(crew.broker_url, patience_s=300.0) as client:  # the model is loaded, and all is warm
                list(client.chat(asked.model, reply_settings=_manner(asked)).say("Hello."))
            sweep = _submit(store, settings, asked)
            before = _rate(store, sweep, asked.watch_s)
            began, answered = time.monotonic(), _answered(store, sweep)
            with ThreadPoolExecutor(asked.conversations) as pool:
                talks = [pool.submit(_talk, crew.broker_url, asked, n) for n in range(asked.conversations)]
                heard = [reply for talk in talks for reply in talk.result()]
            took_s = time.monotonic() - began
            during = (_answered(store, sweep) - answered) / took_s
            while any(run.status in _UNDER_WAY for run in records.progress(store, sweep).runs):
                crew.check()
                time.sleep(_LOOK_S)
            print(json.dumps(_line(store, sweep, asked, heard, took_s) | {
                "answers_per_s_before": round(before, 2), "answers_per_s_during": round(during, 2),
            }))  # fmt: skip


def _talk(broker_url: str, asked: argparse.Namespace, number: int) -> list[Heard]:
    """One conversation, to its end."""
    found = []
    with Client(broker_url, patience_s=300.0) as client:
        chat = client.chat(asked.model, new_id(), _manner(asked))
        for turn in range(asked.turns):
            began, first = time.monotonic(), 0.0
            reply = chat.say(_SAID.format(number=100 * number + turn))
            for entry in reply.entries():
                if isinstance(entry, Piece) and not first:
                    first = time.monotonic() - began
            assert reply.ending is not None
            assert reply.ending.finish is not Finish.FAILED, reply.ending.error
            found.append(Heard(reply.turn, reply.text, first, time.monotonic() - began, reply.reader.tokens))
    return found


def _line(
    store: Store, sweep: int, asked: argparse.Namespace, heard: Sequence[Heard], took_s: float
) -> dict[str, object]:
    kept = [conversations.find_turn(store, one.turn) for one in heard]
    lost = sum(turn is None or turn.content != one.text for one, turn in zip(heard, kept, strict=True))
    progress = records.progress(store, sweep)
    firsts = sorted(one.first_s for one in heard)
    return {
        "bench": "chat_load",
        "model": asked.model,
        "conversations": asked.conversations,
        "replies": len(heard),
        "replies_lost": lost,
        "questions": sum(run.questions for run in progress.runs),
        "answers": _answered(store, sweep),
        "tokens_per_s": round(sum(one.tokens for one in heard) / took_s, 1),
        "first_token_median_s": round(statistics.median(firsts), 2),
        "first_token_p95_s": round(firsts[int(0.95 * len(firsts))], 2),
        "first_token_worst_s": round(firsts[-1], 2),
        "reply_median_s": round(statistics.median(one.whole_s for one in heard), 2),
        "took_s": round(took_s, 1),
    }


def _submit(store: Store, settings: Settings, asked: argparse.Namespace) -> int:
    conditions = Conditions(shots=2, pack_tokens=1024)
    request = SweepRequest(
        (asked.model,), (Quant.NONE,), asked.benchmark, tuple(asked.subjects), "cpu", DType.AUTO, conditions
    )
    prepared = prepare(request, settings, store)
    submission = write_down(store, prepared, fresh=True)
    return submission.sweep_id


def _rate(store: Store, sweep: int, watch_s: float) -> float:
    """Answers a second of the sweep by itself, from the first on."""
    while not _answered(store, sweep):
        time.sleep(_LOOK_S)
    began, before = time.monotonic(), _answered(store, sweep)
    time.sleep(watch_s)
    return (_answered(store, sweep) - before) / (time.monotonic() - began)


def _answered(store: Store, sweep: int) -> int:
    return sum(run.answered for run in records.progress(store, sweep).runs)


def _manner(asked: argparse.Namespace) -> ReplySettings:
    return ReplySettings(asked.model, sampling=Sampling(temperature=0.7, max_tokens=asked.tokens))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Conversations beside a sweep: nothing lost, the sweep goes on.")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--conversations", type=int, default=32)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=48, help="of a reply, at most")
    parser.add_argument("--benchmark", default="demo")
    parser.add_argument("--subjects", nargs="+", default=["all"])
    parser.add_argument("--watch-s", type=float, default=5.0, help="how long the sweep is watched before")
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
