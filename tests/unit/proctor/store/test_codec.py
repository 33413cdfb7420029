"""Values come back from their columns as they went in, whatever they hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from proctor.errors import BadInput
from proctor.nouns.exams import Conditions
from proctor.nouns.models import Device, DType, Lane, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Measures, Provenance, RunSpec, SweepRequest
from proctor.store.database.column_types import Doubles, HexDigest, UtcDateTime
from proctor.store.runs import codec
from proctor.store.runs.tables import ExamRow, RunRow

DIALECT = sqlite.dialect()
model_names = st.from_regex(r"[A-Za-z0-9_./@ -]*[A-Za-z0-9_./@-]", fullmatch=True).map(str.strip)
conditions = st.builds(
    Conditions,
    shots=st.integers(0, 30),
    chat_template=st.booleans(),
    limit=st.none() | st.integers(1, 500),
    pack_tokens=st.integers(1, 9999),
    prompt_version=st.text(),
)
specs = st.builds(
    RunSpec,
    model=st.builds(ModelRef, model_names, st.sampled_from(ModelSource), st.sampled_from(["", "abc123"])),
    quant=st.sampled_from(Quant),
    device=st.sampled_from(Device),
    dtype=st.sampled_from(DType),
    benchmark=st.text(),
    subject=st.text(),
    exam_hash=st.text(),
    questions=st.integers(1, 2000),
    conditions=conditions,
)
costs = st.builds(Cost, *[st.floats(0, 1e6)] * 3)
measures = st.builds(Measures, costs, costs, costs, *[st.integers(0, 2**60)] * 4)


def test_a_date_that_nobody_named_goes_unsaid_as_before_there_was_one() -> None:
    assert "template_date" not in codec.conditions_object(Conditions(chat_template=True))
    named = Conditions(chat_template=True, template_date="2026-11-30")
    assert codec.conditions_of(through_json(codec.conditions_object(named))) == named
    before = {key: value for key, value in through_json(asdict(named)).items() if key != "template_date"}
    assert codec.conditions_of(before) == Conditions(chat_template=True)


@pytest.mark.parametrize("date", ["30.11.2026", "2026-13-01", "20261130", "today"])
def test_what_is_no_date_is_refused(date: str) -> None:
    with pytest.raises(BadInput, match="is no date"):
        Conditions(chat_template=True, template_date=date)
    with pytest.raises(BadInput, match="for chat templates"):
        Conditions(template_date="2026-11-30")


def through_json(value: object) -> dict[str, object]:
    stored = json.loads(json.dumps(value))
    assert isinstance(stored, dict)
    return stored


@given(specs)
def test_a_spec_survives_its_columns(spec: RunSpec) -> None:
    columns = codec.spec_columns(spec)
    columns["conditions"] = through_json(columns["conditions"])
    run = RunRow(sweep_id=1, exam_id=1, status="pending", **columns)
    exam = ExamRow(benchmark=spec.benchmark, subject=spec.subject, content_hash=spec.exam_hash, duplicates_dropped=0)
    assert codec.spec_of(run, exam) == spec


@given(specs)
def test_a_lane_is_read_from_its_name(spec: RunSpec) -> None:
    assert codec.lane_of(str(spec.lane)) == spec.lane


def test_slashes_in_a_lane_belong_to_the_model() -> None:
    assert codec.lane_of("cpu//home/me/a model/8bit") == Lane(Device.CPU, "/home/me/a model", Quant.EIGHT_BIT)


@given(conditions, st.text())
def test_a_request_survives_json(said: Conditions, name: str) -> None:
    request = SweepRequest(("a", "b"), tuple(Quant), "mmlu", ("x",), "auto", DType.BFLOAT16, said, -3, name)
    assert codec.request_of(through_json(asdict(request))) == request


@given(st.dictionaries(st.text(), st.text()), st.lists(st.text()))
def test_a_provenance_survives_json_with_its_versions_sorted(versions: dict[str, str], notes: list[str]) -> None:
    given = Provenance(DType.FLOAT16, "plain", "a device", "a host", versions, tuple(notes))
    stored = codec.provenance_object(given)
    assert codec.provenance_of(through_json(stored)) == given
    assert list(stored["versions"]) == sorted(versions)


@given(measures)
def test_measures_survive_json(given: Measures) -> None:
    assert codec.measures_of(through_json(codec.measures_object(given))) == given


def test_releases_before_read_measures_of_the_cpu_and_later_ones_are_read_here() -> None:
    assert "peak_reserved_bytes" not in codec.measures_object(Measures())
    assert codec.measures_object(Measures(peak_reserved_bytes=7))["peak_reserved_bytes"] == 7
    assert codec.measures_of({**asdict(Measures(peak_rss_bytes=5)), "peak_of_tomorrow": 9}) == Measures(
        peak_rss_bytes=5
    )


def test_several_attempts_add_up_and_of_peaks_the_highest_counts() -> None:
    one = Measures(Cost(1, 2, 3), Cost(4, 5, 6), Cost(7, 8, 9), 10, 20, 30, 40, Cost(1), Cost(2, 2), 25)
    two = Measures(Cost(1, 1, 1), Cost(1, 1, 1), Cost(1, 1, 1), 15, 15, 1, 1, Cost(2), Cost(3, 1), 26)
    total = codec.sum_of([one, two])
    assert total == Measures(Cost(2, 3, 4), Cost(5, 6, 7), Cost(8, 9, 10), 15, 20, 31, 41, Cost(3), Cost(5, 3), 26)
    assert total.scoring == Cost(13, 9, 7)
    assert codec.sum_of([]) == Measures()


def test_measures_of_before_the_prefix_was_apart_are_read_as_they_were() -> None:
    stored = asdict(Measures(score=Cost(4, 5, 6)))
    del stored["prefix"], stored["tokenize"]
    assert codec.measures_of(stored) == Measures(score=Cost(4, 5, 6))
    assert codec.measures_of(stored).scoring == Cost(4, 5, 6)


@given(st.text(st.characters(codec=None)))
def test_any_text_is_made_storable(text: str) -> None:
    stored = codec.storable(text)
    assert "\0" not in stored
    assert stored.encode("utf-8").decode("utf-8") == stored
    assert len(stored) == len(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_text_that_is_storable_is_left_as_it_is(text: str) -> None:
    assert codec.storable(text) == text


@given(st.lists(st.floats()))
def test_doubles_come_back_bit_for_bit(values: list[float]) -> None:
    column = Doubles()
    stored = column.process_bind_param(values, DIALECT)
    assert stored is not None
    assert len(stored) == 8 * len(values)
    back = column.process_result_value(stored, DIALECT)
    assert column.process_bind_param(back, DIALECT) == stored


@given(st.binary())
def test_a_digest_takes_half_its_letters(digest: bytes) -> None:
    column = HexDigest()
    assert column.process_bind_param(digest.hex(), DIALECT) == digest
    assert column.process_result_value(digest, DIALECT) == digest.hex()


def test_times_are_kept_in_utc_and_naive_ones_are_refused() -> None:
    column = UtcDateTime()
    abroad = datetime(2031, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=-7)))
    stored = column.process_bind_param(abroad, DIALECT)
    assert stored == abroad
    assert stored is not None
    assert stored.tzinfo is UTC
    back = column.process_result_value(stored.replace(tzinfo=None), DIALECT)  # SQLite keeps no zone
    assert back == abroad
    with pytest.raises(ValueError, match="no time zone"):
        column.process_bind_param(abroad.replace(tzinfo=None), DIALECT)
    assert column.process_bind_param(None, DIALECT) is column.process_result_value(None, DIALECT) is None
