"""Runs to contestants and sets, without a database."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from analysis.data.groups import comparable_groups, contestants_of, names_of
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Provenance, RunSpec, RunStatus
from proctor.store.reads.records import RunRecord

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


def contents(groups: list[list[RunRecord]]) -> list[list[tuple[str, str, str]]]:
    return [[(r.spec.model.label, r.spec.subject, r.spec.exam_hash) for r in group] for group in groups]


def sat(run_id: int, model: str, subject: str, exam_hash: str, shots: int = 5) -> RunRecord:
    ref = ModelRef(f"org/{model}", ModelSource.HUB, "r")
    conditions = Conditions(shots=shots)
    return run(run_id, DType.FLOAT32, model=ref, subject=subject, exam_hash=exam_hash, conditions=conditions)


def test_one_contestant_on_two_contents_of_an_exam_is_in_two_groups_the_newest_first() -> None:
    records = [sat(1, "a", "law", "old"), sat(2, "a", "art", "same"), sat(3, "a", "law", "new")]
    for order in permutations(records):
        newest, older = contents(comparable_groups(order))
        assert sorted(newest) == [("a", "art", "same"), ("a", "law", "new")]
        assert sorted(older) == [("a", "art", "same"), ("a", "law", "old")]


def test_who_sat_the_old_content_alone_is_compared_there_with_who_sat_both() -> None:
    records = [sat(1, "a", "law", "old"), sat(2, "b", "law", "old"), sat(3, "a", "law", "new")]
    assert contents(comparable_groups(records)) == [
        [("a", "law", "new")], [("a", "law", "old"), ("b", "law", "old")],
    ]  # fmt: skip


def test_the_newest_content_comes_first_although_the_older_was_read_first() -> None:
    records = [sat(1, "a", "law", "old"), sat(2, "b", "law", "new")]
    assert contents(comparable_groups(records)) == [[("b", "law", "new")], [("a", "law", "old")]]


def test_the_third_contestant_is_held_against_the_contents_of_the_second() -> None:
    records = [sat(1, "a", "law", "one"), sat(2, "b", "art", "new"), sat(3, "c", "art", "old")]
    groups = contents(comparable_groups([records[0], replace(records[1], run_id=9), records[2]]))
    assert groups == [[("a", "law", "one"), ("b", "art", "new")], [("c", "art", "old")]]


def test_the_terms_of_most_runs_come_first_and_no_two_terms_are_mixed() -> None:
    records = [sat(1, "a", "law", "one", 0), sat(2, "a", "law", "one"), sat(3, "b", "law", "one")]
    assert [[r.spec.conditions.shots for r in group] for group in comparable_groups(records)] == [[5, 5], [0]]
