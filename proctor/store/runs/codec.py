"""Between the values of `proctor.nouns` and the columns and JSON objects that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from functools import lru_cache, reduce
from operator import add

from proctor.nouns.briefs import Brief, Grading
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Answer, Conditions, Scoring, Written
from proctor.nouns.models import Device, DType, Lane, ModelRef, ModelSource, Quant
from proctor.nouns.runs import Cost, Judges, Measures, Noise, Provenance, RunSpec, ShotsShown, SweepRequest
from proctor.store.database.column_types import JsonObject
from proctor.store.runs.tables import ExamRow, RunRow, WrittenRow

_MEASURED = frozenset(field.name for field in fields(Measures))
# In the stored conditions of a part of a large Run. An earlier release can't read them, and leaves the part alone.
FIRST_QUESTION = "first_question"


@lru_cache(maxsize=4096)  # a claim reads the names of all lanes
def lane_of(text: str) -> Lane:
    """`Lane.parse`, remembered."""
    return Lane.parse(text)


def spec_of(run: RunRow, exam: ExamRow) -> RunSpec:
    """The plan of a Run, as it was submitted."""
    return RunSpec(
        model=ModelRef(run.model_name, ModelSource(run.model_source), run.model_revision),
        quant=Quant(run.quant),
        device=Device(run.device),
        dtype=DType(run.dtype),
        benchmark=exam.benchmark,
        subject=exam.subject,
        exam_hash=exam.content_hash,
        questions=run.questions,
        conditions=conditions_of(run.conditions),
    )


def conditions_of(stored: JsonObject) -> Conditions:
    """Conditions from JSON. Rows of before there was a choice were scored by letters."""
    said = {name: value for name, value in stored.items() if name != FIRST_QUESTION}
    brief = stored.get("brief")
    judges = None if brief is None else Brief(**{**brief, "grading": Grading(brief["grading"])})
    return Conditions(**{**said, "scoring": Scoring(stored.get("scoring", Scoring.LETTERS)), "brief": judges})


def conditions_object(conditions: Conditions) -> JsonObject:
    """Conditions as JSON. What nobody asked for goes unsaid: releases of before it could be asked for read it too."""
    said = asdict(conditions)
    if not conditions.template_date:
        del said["template_date"]
    if conditions.shots_as_turns:
        del said["shots_as_turns"]
    if conditions.brief is None:
        del said["brief"]
    return said


def request_object(request: SweepRequest) -> JsonObject:
    """What a person asked for, as JSON."""
    said = {**asdict(request), "conditions": conditions_object(request.conditions)}
    if request.judges is None:
        del said["judges"]
    return said


def spec_columns(spec: RunSpec, part: range | None = None) -> JsonObject:
    """The columns of a Run's row that its spec fills, all but the exam's; or of the row of one `part` of it."""
    first = {} if part is None else {FIRST_QUESTION: part.start}
    return {
        "lane": str(spec.lane),
        "model_name": spec.model.name,
        "model_source": spec.model.source,
        "model_revision": spec.model.revision,
        "quant": spec.quant,
        "device": spec.device,
        "dtype": spec.dtype,
        "conditions": conditions_object(spec.conditions) | first,
        "questions": spec.questions if part is None else len(part),
    }


def first_question(run: RunRow) -> int:
    """The place in the exam of the first question that is asked; above 0 in parts of a large Run."""
    found: int = run.conditions.get(FIRST_QUESTION, 0)
    return found


def request_of(stored: JsonObject) -> SweepRequest:
    """What a person asked for, as it was kept."""
    return SweepRequest(
        models=tuple(stored["models"]),
        quants=tuple(Quant(quant) for quant in stored["quants"]),
        benchmark=stored["benchmark"],
        subjects=tuple(stored["subjects"]),
        device=stored["device"],
        dtype=DType(stored["dtype"]),
        conditions=conditions_of(stored["conditions"]),
        priority=stored["priority"],
        name=stored["name"],
        check_noise=stored.get("check_noise", False),
        further=tuple(stored.get("further", ())),
        judges=_judges_of(stored.get("judges")),
    )


def _judges_of(stored: JsonObject | None) -> Judges | None:
    if stored is None:
        return None
    quants = tuple(Quant(quant) for quant in stored["quants"])
    return Judges(tuple(stored["models"]), quants, stored["pairs"], stored["baseline"])


def provenance_object(provenance: Provenance) -> JsonObject:
    """A Provenance as JSON, versions in sorted order."""
    return {
        "dtype": provenance.dtype,
        "attention": provenance.attention,
        "device_name": provenance.device_name,
        "host": provenance.host,
        "versions": dict(sorted(provenance.versions.items())),
        "notes": list(provenance.notes),
        "cut_tokens": provenance.cut_tokens,
        "products": provenance.products,
        "template_date": provenance.template_date,
        "shots": None if provenance.shots is None else asdict(provenance.shots),
        **({"judged_by": provenance.judged_by} if provenance.judged_by else {}),
    }


def provenance_of(stored: JsonObject) -> Provenance:
    """A Provenance from JSON."""
    return Provenance(
        dtype=DType(stored["dtype"]),
        attention=stored["attention"],
        device_name=stored["device_name"],
        host=stored["host"],
        versions=dict(stored["versions"]),
        notes=tuple(stored["notes"]),
        cut_tokens=stored.get("cut_tokens"),
        products=stored.get("products", "torch"),  # all there was, before there was a choice
        template_date=stored.get("template_date", ""),
        shots=None if stored.get("shots") is None else ShotsShown(**stored["shots"]),
        judged_by=stored.get("judged_by", ""),
    )


def measures_object(measures: Measures) -> JsonObject:
    """Measures as JSON. What only GPUs have goes unsaid on the CPU: releases of before it was recorded read it too."""
    said = asdict(measures)
    if not measures.peak_reserved_bytes:
        del said["peak_reserved_bytes"]
    return said


def measures_of(stored: JsonObject) -> Measures:
    """Measures from JSON; what a later release measures besides is left aside."""
    parts = ("load", "tokenize", "prefix", "score", "write")
    costs = {name: Cost(**stored[name]) for name in parts if name in stored}
    known = {name: value for name, value in stored.items() if name in _MEASURED}
    return Measures(**{**known, **costs})


def noise_of(stored: JsonObject | None) -> Noise | None:
    """A Noise from the JSON that `dataclasses.asdict` made of it; None where none was measured."""
    return None if stored is None else Noise(**stored)


def sum_of(several: Iterable[Measures]) -> Measures:
    """What several attempts cost together: times and tokens add up, of peaks the highest counts."""
    total = Measures()
    for one in several:
        total = Measures(
            load=total.load + one.load,
            score=total.score + one.score,
            write=total.write + one.write,
            tokenize=total.tokenize + one.tokenize,
            prefix=total.prefix + one.prefix,
            peak_rss_bytes=max(total.peak_rss_bytes, one.peak_rss_bytes),
            peak_device_bytes=max(total.peak_device_bytes, one.peak_device_bytes),
            peak_reserved_bytes=max(total.peak_reserved_bytes, one.peak_reserved_bytes),
            tokens_computed=total.tokens_computed + one.tokens_computed,
            tokens_saved=total.tokens_saved + one.tokens_saved,
            tokens_written=total.tokens_written + one.tokens_written,
        )
    return total


def joined(several: Sequence[Provenance]) -> Provenance:
    """The Provenance of a Run whose parts have these: the first, with a note where others may differ in rounding."""
    first = several[0]
    others = dict.fromkeys(first.elsewhere(one) for one in several)
    notes = dict.fromkeys(note for one in several for note in one.notes)
    cuts = [one.cut_tokens for one in several if one.cut_tokens is not None]
    shots = [one.shots for one in several if one.shots is not None]
    return replace(
        first,
        host=", ".join(dict.fromkeys(one.host for one in several)),
        notes=(*notes, *(f"a part was computed {other}: it may differ in rounding" for other in others if other)),
        cut_tokens=min(cuts, default=None),
        shots=reduce(add, shots) if len(shots) == len(several) else None,
    )


def answer_columns(answer: Answer) -> JsonObject:
    """The columns of an Answer's row that it fills itself."""
    return {
        "shots": answer.shots,
        "picked": answer.picked,
        "correct": answer.correct,
        "prompt_hash": answer.prompt_hash,
        "options_logprob": answer.options_logprob,
        "partial": answer.partial,
        "extracted": None if answer.extracted is None else storable(answer.extracted),
    }


def written_rows(run_id: int, question_id: int, answer: Answer) -> list[JsonObject]:
    """Rows of an Answer's written replies; `question_id` is the row id of its question."""
    of_answer = {"run_id": run_id, "question_id": question_id}
    return [
        {
            **of_answer, "turn": turn, "text": storable(one.text), "token_ids": one.token_ids, "finish": one.finish,
            "think_end": one.think_end,
        }
        for turn, one in enumerate(answer.written)
    ]  # fmt: skip


def written_of(row: WrittenRow) -> Written:
    """A written reply as it was stored."""
    return Written(row.text, tuple(row.token_ids), Finish(row.finish), row.think_end)


def storable(text: str) -> str:
    """Text that every database takes: PostgreSQL has no NUL, UTF-8 has no lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")
