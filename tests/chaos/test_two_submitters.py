"""The same sweep submitted twice at the same moment, by two processes: one sweep, worked on once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proctor.nouns.models import ModelRef
from proctor.nouns.runs import RunStatus
from proctor.store.reads import records, shown_answers
from tests.chaos.fleet import a_fleet
from tests.support import wait_until

QUESTIONS = 200


@pytest.mark.postgres
def test_two_who_submit_the_same_at_once_share_one_sweep_and_every_answer_is_there_once(
    tmp_path: Path, model: ModelRef
) -> None:
    exam = tmp_path / "sums.jsonl"
    rows = ({"question": f"What is {n} and {n}?", "choices": ["0", str(2 * n)], "answer": 1} for n in range(QUESTIONS))
    exam.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["-m", model.name, "--benchmark", str(exam), "--shots", "0", "--device", "cpu", "--detach"]
    program = Path(sys.executable).with_name("submit-sweep")
    with a_fleet(tmp_path, model, count=1) as fleet:
        environ = {**os.environ, **fleet.settings.environ()}
        both = [subprocess.Popen([program, *words], env=environ, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        said = [process.communicate(timeout=300)[1] for process in both]
        assert [process.returncode for process in both] == [0, 0], said
        assert sorted("goes on" in text or "was submitted before" in text for text in said) == [False, True], said
        (sweep,) = records.overview(fleet.store)
        wait_until(lambda: records.progress(fleet.store, sweep.id).over, "the sweep was over")
        (run,) = records.runs(fleet.store, [sweep.id])
        assert (run.status, run.attempt) == (RunStatus.DONE, 1)
        answers = shown_answers.answers_after(fleet.store, sweep.id, 0, 10**6).answers
        assert sorted(answer.question_index for answer in answers) == list(range(QUESTIONS))
