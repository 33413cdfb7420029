"""From a request to Runs, and everything that is held against a request at once."""

from __future__ import annotations

import pytest

from proctor.errors import DoesNotFit, SeveralFaults
from proctor.nouns.exams import Conditions, Exam, Question, Scoring
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import SweepRequest
from proctor.statistical_power import smallest_difference
from scheduler.plan import Candidate, Plan, Target, expand, serving_faults

CPU = Target(Device.CPU, "CPU (2 cores)", 8_000_000_000, quantizes=True)
GPU = Target(Device.GPU, "T4", 16_000_000_000, quantizes=True)


def exam(subject: str, questions: int = 10, dev: int = 5) -> Exam:
    def some(count: int) -> tuple[Question, ...]:
        return tuple(Question(f"{subject}{i}", i, f"question {i}?", ("a", "b", "c", "d"), i % 4) for i in range(count))

    return Exam("demo", subject, some(dev), some(questions), content_hash=subject)


def model(name: str, bytes_: int = 1_000_000_000) -> Candidate:
    return Candidate(ModelRef(name, ModelSource.HUB, "r1"), dict.fromkeys(Quant, bytes_))


def request(
    quants: tuple[Quant, ...] = (Quant.NONE,), device: str = "auto", shots: int = 5, limit: int | None = None
) -> SweepRequest:
    return SweepRequest(("m",), quants, "demo", ("all",), device, DType.AUTO, Conditions(shots=shots, limit=limit))


def plan(asked: SweepRequest, models: list[Candidate] | None = None, targets: tuple[Target, ...] = (CPU,)) -> Plan:
    return expand(asked, models or [model("org/one")], [exam("tides"), exam("birds", questions=7)], targets)


def test_every_model_at_every_quantization_sits_every_subject_and_is_loaded_once() -> None:
    got = plan(request((Quant.NONE, Quant.FOUR_BIT)), [model("org/one"), model("org/two")])
    assert len(got.runs) == len(set(got.runs)) == 8
    assert [(str(lane.lane), lane.runs, lane.questions) for lane in got.lanes] == [
        ("cpu/org/one@r1/none", 2, 17),
        ("cpu/org/one@r1/4bit", 2, 17),
        ("cpu/org/two@r1/none", 2, 17),
        ("cpu/org/two@r1/4bit", 2, 17),
    ]


def test_a_limit_above_a_subjects_size_asks_what_there_is() -> None:
    assert [run.questions for run in plan(request(limit=8)).runs] == [8, 7]


def test_auto_takes_the_gpu_where_one_serves() -> None:
    assert plan(request(), targets=(CPU, GPU)).runs[0].device is Device.GPU
    assert plan(request(), targets=(CPU,)).runs[0].device is Device.CPU
    assert plan(request(device="cpu"), targets=(CPU, GPU)).runs[0].device is Device.CPU


def test_what_no_worker_of_a_fleet_can_serve_now_is_planned_and_told() -> None:
    small = Target(Device.CPU, "a small machine", 500_000_000, quantizes=False)
    asked = request((Quant.FOUR_BIT,), device="cuda")
    planned = expand(asked, [model("org/one")], [exam("tides")], (small,), others_may_come=True)
    assert planned.runs[0].device is Device.GPU
    (told,) = serving_faults(asked, [model("org/one")], (small,))
    assert "no GPU was found" in str(told)
    here = request((Quant.FOUR_BIT,))
    assert len(serving_faults(here, [model("org/one")], (small,))) == 2
    assert expand(here, [model("org/one")], [exam("tides")], (small,), others_may_come=True).runs


def test_a_fleet_without_workers_yet_is_planned_for_as_asked() -> None:
    assert plan(request((Quant.FOUR_BIT,), device="cuda"), targets=()).runs[0].device is Device.GPU


def test_all_faults_of_a_request_come_at_once() -> None:
    small = Target(Device.CPU, "a small machine", 500_000_000, quantizes=False)
    with pytest.raises(SeveralFaults) as caught:
        plan(request((Quant.FOUR_BIT,), device="cuda", shots=6), targets=(small,))
    text = str(caught.value)
    assert "--shots 6: 2 of 2 subjects" in text
    assert "Use --shots 5" in text
    assert "--device cuda: no GPU was found" in text


def test_a_device_without_bitsandbytes_is_no_place_for_a_quantization() -> None:
    plain = Target(Device.CPU, "a Mac", 8_000_000_000, quantizes=False)
    with pytest.raises(SeveralFaults, match="-q 4bit: a Mac has no bitsandbytes"):
        plan(request((Quant.NONE, Quant.FOUR_BIT)), targets=(plain,))


def test_a_model_that_does_not_fit_says_what_it_needs_and_what_there_is() -> None:
    with pytest.raises(SeveralFaults) as caught:
        plan(request(), [model("org/huge", 30_000_000_000)])
    (fault,) = caught.value.faults
    assert isinstance(fault, DoesNotFit)
    assert "about 30.0 GB" in str(fault)
    assert "has 8.0 GB" in str(fault)


def test_a_model_of_exactly_the_memory_there_is_fits() -> None:
    assert plan(request(), [model("org/full", CPU.memory_bytes)]).lanes[0].memory_bytes == CPU.memory_bytes
    with pytest.raises(SeveralFaults) as caught:
        plan(request(), [model("org/over", CPU.memory_bytes + 1)])
    assert isinstance(caught.value.faults[0], DoesNotFit)


def test_the_smallest_difference_shrinks_with_the_root_of_the_questions() -> None:
    few, many = smallest_difference(0.3, 240), smallest_difference(0.3, 960)
    assert few is not None
    assert many is not None
    assert few == pytest.approx(0.0990, abs=1e-4)
    assert many == pytest.approx(few / 2)


def blank_exam() -> Exam:
    """Two questions; the second has an option of blanks."""
    asked = (Question("q0", 0, "Up?", ("yes", "no"), 0), Question("q1", 1, "Down?", ("yes", "no", " \t"), 0))
    return Exam("ways", "up", (), asked, "hash")


def by_text(*, limit: int | None = None, chat: bool = False) -> SweepRequest:
    conditions = Conditions(shots=0, limit=limit, chat_template=chat, scoring=Scoring.TEXT)
    return SweepRequest(("m",), (Quant.NONE,), "ways", ("all",), "auto", DType.AUTO, conditions)


@pytest.mark.parametrize("chat", [False, True])
def test_a_blank_option_is_no_text_to_score_and_is_found_before_anything_runs(chat: bool) -> None:
    with pytest.raises(
        SeveralFaults, match=r"without any text to score: 1 .*question 1 of up, option C.* --scoring letters"
    ):
        expand(by_text(chat=chat), [model("org/one")], [blank_exam()], (CPU,))


def test_a_blank_option_that_is_not_asked_or_only_lettered_is_no_fault() -> None:
    assert len(expand(by_text(limit=1), [model("org/one")], [blank_exam()], (CPU,)).runs) == 1
    assert len(expand(request(shots=0), [model("org/one")], [blank_exam()], (CPU,)).runs) == 1
