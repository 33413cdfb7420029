"""Subjects and groups by the names that people use."""

from __future__ import annotations

import pytest

from proctor.errors import BadInput, SeveralFaults, UnknownName
from proctor.exams.reading.hub import SUBJECTS
from proctor.exams.reading.subjects import DEMO, GROUPS, MMLU, select


def test_mmlu_has_57_subjects_in_four_groups() -> None:
    assert {group: len(subjects) for group, subjects in MMLU.items()} == {
        "stem": 19,
        "humanities": 13,
        "social_sciences": 12,
        "other": 13,
    }
    assert len(set(SUBJECTS)) == 57


def test_the_demo_exam_shares_no_subject_with_mmlu() -> None:
    demo = {subject for subjects in DEMO.values() for subject in subjects}
    assert len(demo) == 6
    assert demo.isdisjoint(SUBJECTS)


@pytest.mark.parametrize("names", [[], ["all"], ["ALL"], ["stem", "humanities", "social sciences", "Other"]])
def test_no_name_or_all_or_every_group_means_everything(names: list[str]) -> None:
    assert select(names, SUBJECTS) == SUBJECTS


@pytest.mark.parametrize("name", ["High School Physics", "high-school-physics", " high_school_physics "])
def test_a_subject_is_known_however_it_is_spaced(name: str) -> None:
    assert select([name], SUBJECTS) == ("high_school_physics",)


def test_what_is_chosen_comes_once_and_in_the_benchmarks_order() -> None:
    assert select(["virology", "astronomy,anatomy", "astronomy"], SUBJECTS) == ("anatomy", "astronomy", "virology")


def test_a_subject_whose_name_holds_a_comma_is_itself() -> None:
    assert select(["law, civil"], ["law, civil", "law"]) == ("law, civil",)


def test_a_subject_goes_before_a_group_of_its_name() -> None:
    assert select(["other"], ["other", "virology"]) == ("other",)


def test_a_group_holds_what_the_benchmark_has_of_it() -> None:
    assert select(["stem"], ["astronomy", "virology", "Machine Learning"]) == ("astronomy", "Machine Learning")


def test_an_unknown_subject_is_offered_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        select(["astronmy"], SUBJECTS)
    assert caught.value.nearest[0] == "astronomy"
    assert "and 47 more" in caught.value.next_step


def test_all_unknown_names_are_said_at_once() -> None:
    with pytest.raises(SeveralFaults) as caught:
        select(["astronmy", "anatomy", "xxxx,stm"], SUBJECTS)
    assert [fault.problem for fault in caught.value.faults] == [
        "Unknown subject 'astronmy'.",
        "Unknown subject 'xxxx'.",
        "Unknown subject 'stm'.",
    ]


def test_a_group_of_which_there_is_nothing_is_a_fault() -> None:
    with pytest.raises(BadInput, match="No subject of group humanities"):
        select(["humanities"], ["astronomy"])


def test_every_subject_of_mmlu_and_of_the_demo_has_a_group() -> None:
    assert "professional_law" in GROUPS["humanities"]
    assert "arithmetic" in GROUPS["stem"]
    assert sum(map(len, GROUPS.values())) == 63
