"""A generated exam of a model that a server has: the worker's child is killed in its middle, and then the server."""

from __future__ import annotations

import zlib
from pathlib import Path

import psutil

from proctor.catalog.endpoint import Endpoint, ref_of
from proctor.embedded.command import embedded
from proctor.nouns.exams import LETTERS
from proctor.nouns.models import Device
from proctor.settings import Settings
from proctor.store.database.session import Store
from proctor.store.reads.export import export_rows
from tests.chaos.scene import (
    assert_every_answer_once,
    outcomes,
    runs_of,
    submit,
    wait_for_end,
    wait_for_middle,
    worker_child,
)
from tests.faulty_endpoint import MODEL, FaultyEndpoint
from tests.support import wait_until

QUESTIONS = 400
REF = ref_of(MODEL)


def says(prompt: str) -> str:
    """A reply of its own to each prompt."""
    number = zlib.crc32(prompt.encode())
    return f" {LETTERS[number % 4]}, for {number} says so.\n\nQuestion:"


def written(store: Store, sweep: int) -> dict[str, tuple[int | None, str]]:
    """What was picked of each question, and what was written in full."""
    return {row.question: (row.picked, row.written[0].text) for row in export_rows(store, [sweep])}


def loaded_by(process: psutil.Process) -> set[str]:
    """The libraries whose files a process has in its memory."""
    return {Path(one.path).name.partition(".")[0] for one in process.memory_maps()}


def test_a_generated_exam_whose_worker_and_server_are_killed_ends_as_an_undisturbed_one(
    settings: Settings, store: Store
) -> None:
    with FaultyEndpoint(echoes=False, says=says, token_s=0.001) as server:
        with embedded(settings, "auto", more=Endpoint(server.url, (MODEL,)).arguments) as crew:
            undisturbed = submit(store, REF, 1, questions=QUESTIONS, device=Device.NET)
            wait_for_end(store, undisturbed)
            sweep = submit(store, REF, 1, questions=QUESTIONS, device=Device.NET)
            wait_for_middle(store, sweep)
            child = worker_child(crew)
            assert not {"libtorch_cpu", "libtorch"} & loaded_by(child)
            child.kill()
            wait_until(lambda: outcomes(store, sweep)[:2] == ["lost", "running"], "another child went on")
            server.stop()
            before = runs_of(store, sweep)[0].answered
            server.start()
            wait_for_end(store, sweep)
        assert_every_answer_once(store, sweep)
        assert 0 < before < QUESTIONS
        assert outcomes(store, sweep) == ["lost", "done"]
        assert written(store, sweep) == written(store, undisturbed)
        assert len(set(written(store, sweep).values())) > QUESTIONS // 4
