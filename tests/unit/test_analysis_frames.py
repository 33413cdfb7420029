"""Runs to contestants and sets, without a database."""

from __future__ import annotations

from itertools import permutations

from analysis.frames import contestants_of, names_of
from proctor.nouns import Conditions, Device, DType, ModelRef, ModelSource, Provenance, Quant, RunSpec, RunStatus
from proctor.store.reads import RunRecord

MODEL = ModelRef("org/a", ModelSource.HUB, "rev1")


def run(
    run_id: int,
    computed: DType | None,
    asked: DType = DType.AUTO,
    *,
    model: ModelRef = MODEL,
    subject: str = "law",
    exam_hash: str = "one",
    conditions: Conditions | None = None,
) -> RunRecord:
    """A Run of that number; without a type that was computed in, one that never began."""
    spec = RunSpec(
        model, Quant.NONE, Device.CPU, asked, "mmlu", subject, exam_hash, 40, conditions or Conditions()
    )  # fmt: skip
    made = None if computed is None else Provenance(computed, "plain", "a CPU", "here")
    status, answered = (RunStatus.PENDING, 0) if made is None else (RunStatus.DONE, 40)
    return RunRecord(
        run_id, 1, "trial", spec, status, 1, None, answered, 10, 0, 0, "", "", None, None, made, None, ()
    )  # fmt: skip


def test_a_run_that_never_began_goes_with_fellows_that_all_computed_in_one_type() -> None:
    records = [run(1, DType.BFLOAT16), run(2, DType.BFLOAT16), run(3, None)]
    assert {contestant.dtype for contestant in contestants_of(records).values()} == {"bfloat16"}
    assert set(names_of(records).values()) == {"a"}


def test_a_run_that_never_began_is_nobodys_where_its_fellows_computed_in_two_types() -> None:
    records = [run(1, DType.BFLOAT16), run(2, DType.FLOAT32), run(3, None)]
    for order in permutations(records):
        assert names_of(order) == {1: "a (bfloat16)", 2: "a (float32)", 3: "a (not begun)"}


def test_a_run_that_never_began_is_of_the_type_that_was_asked_for_it() -> None:
    records = [run(1, DType.FLOAT32, DType.FLOAT32), run(2, None, DType.BFLOAT16)]
    for order in permutations(records):
        assert names_of(order) == {1: "a (float32)", 2: "a (bfloat16)"}


def test_a_run_that_never_began_is_not_given_to_another_revision() -> None:
    records = [run(1, DType.FLOAT32), run(2, None, model=ModelRef("org/a", ModelSource.HUB, "rev2"))]
    assert names_of(records) == {1: "a@rev1", 2: "a@rev2"}
