"""Judges of a sweep: Runs whose questions are the replies of others, planned beside these or over stored ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path

from proctor.contestants import labels, match, of_lane
from proctor.errors import BadInput, ProctorError
from proctor.exams.judges import prompts
from proctor.exams.judging.metrics import is_open
from proctor.exams.parts import parts_of
from proctor.exams.tasks.form import read_form
from proctor.kinship import SMALL_BILLIONS, is_small, kin
from proctor.nouns.briefs import Brief, Grading
from proctor.nouns.exams import Conditions, Exam, Scoring
from proctor.nouns.models import Device, DType, Lane, short_name
from proctor.nouns.runs import Judges, RunSpec
from proctor.store.runs.sweeps import identity_of
from scheduler.faults import tried
from scheduler.plan import Candidate, Plan, PlannedLane, Target, memory_faults, quant_faults

JUDGEABLE = (Scoring.WRITTEN, Scoring.OPEN)


@dataclass(frozen=True)
class Judge:
    """A model that is to judge, and whether it is asked by its chat template."""

    model: Candidate
    chat: bool


def with_judges(
    plan: Plan, judges: Judges, bench: Sequence[Judge], device: Device, stored: Mapping[str, str] | None = None
) -> Plan:
    """The plan with a Run of each judge on each Run of written answers, or on each pair of them.

    `stored` are sha256 over the replies of candidates by their identity, where those are there already; the plan's own
    Runs are then what is judged, and no longer part of it.

    Raises
    ------
    BadInput
        where there is nothing to judge, or no pair.
    UnknownName
        for a baseline that is none of the contestants.
    """
    judged = [run for run in plan.runs if run.conditions.scoring in JUDGEABLE]
    if not judged:
        raise BadInput("There is nothing to judge: a judge reads written answers.", "Name a benchmark that has some.")
    sides = list(_pairs(judged, judges.baseline, Path.cwd()) if judges.pairs else ((run, None) for run in judged))
    if not sides:
        raise BadInput("There is no pair to judge.", "Name two models, or leave --pairs out.")

    def digest(run: RunSpec) -> str:
        return "" if stored is None else stored[identity_of(run)]

    runs = [
        _judging(judge, lane, dtype=plan.request.dtype, sides=pair, asked=plan.request.conditions, digest=digest)
        for judge in bench
        for lane in _lanes(judge, judges, device)
        for pair in sides
    ]
    kept = () if stored is not None else plan.runs
    lanes = _merged(() if stored is not None else plan.lanes, bench, runs)
    return replace(plan, runs=(*kept, *runs), lanes=lanes)


def open_notes(exams: Sequence[Exam], judges: Judges | None) -> Iterator[str]:
    """That nobody is there to tell apart the answers that a judge alone can."""
    subjects = [exam.subject for exam in exams if exam.form and is_open(read_form(exam.form))]
    if subjects and judges is None:
        yield (
            f"{', '.join(subjects)}: a judge alone can tell what the answers are worth. Name one with --judge-model, "
            "or later with `proctor judge`."
        )


def bias_notes(judges: Sequence[Judge], candidates: Sequence[str]) -> Iterator[str]:
    """What is known to bias such judges, before anything is asked."""
    for judge in judges:
        name, label = judge.model.ref.name, judge.model.ref.label
        if kindred := sorted({short_name(one) for one in candidates if kin(name, one)}):
            yield f"{label} judges its own family ({', '.join(kindred)}): judges are known to favour it."
        if is_small(name):
            below = f"below {SMALL_BILLIONS:g} billion parameters"
            yield f"{label} is small for a judge ({below}): see how consistent it is before you believe it."
        if not judge.chat:
            yield f"{label} has no chat template: it is asked in plain text, and may not know what to do."


def judged(
    plan: Plan,
    bench: Sequence[Judge],
    targets: Sequence[Target],
    device: Device,
    faults: list[ProctorError],
    stored: Mapping[str, str] | None = None,
) -> Plan | None:
    """The plan with its judges, where it has any; what these targets can't do of them is added to `faults`."""
    judges = plan.request.judges
    if judges is None or not plan.runs:  # without any Run it is told already why
        return plan
    serving = [target for target in targets if target.device is device]
    faults += [
        *quant_faults(judges.quants, serving),
        *memory_faults(judges.quants, [one.model for one in bench], serving),
    ]
    return tried(faults, partial(with_judges, plan, judges, bench, device, stored))


def _lanes(judge: Judge, judges: Judges, device: Device) -> list[Lane]:
    return [Lane(device, str(judge.model.ref), quant) for quant in judges.quants]


def _judging(
    judge: Judge,
    lane: Lane,
    *,
    dtype: DType,
    sides: tuple[RunSpec, RunSpec | None],
    asked: Conditions,
    digest: Callable[[RunSpec], str],
) -> RunSpec:
    candidate, against = sides
    brief = Brief(
        Grading.GRADES if against is None else Grading.PAIRS,
        identity_of(candidate),
        "" if against is None else identity_of(against),
        prompts.DIGEST,
        digest(candidate) + ("" if against is None else digest(against)),
    )
    conditions = Conditions(
        shots=0,
        chat_template=judge.chat,
        limit=candidate.conditions.limit,
        pack_tokens=asked.pack_tokens,
        prompt_version=prompts.VERSION,
        scoring=Scoring.JUDGED,
        template_date=asked.template_date if judge.chat else "",
        brief=brief,
    )
    return replace(
        candidate, model=judge.model.ref, quant=lane.quant, device=lane.device, dtype=dtype, conditions=conditions
    )


def _pairs(runs: Sequence[RunSpec], baseline: str, folder: Path) -> Iterator[tuple[RunSpec, RunSpec]]:
    """Every two contestants that sat one exam alike; with a baseline each against that one."""
    lanes = list(dict.fromkeys(run.lane for run in runs))
    who = [of_lane(lane) for lane in lanes]
    base = lanes[match(who, labels(who), baseline, folder)] if baseline else None
    alike: dict[object, list[RunSpec]] = {}
    for run in runs:
        alike.setdefault((run.benchmark, run.subject, run.exam_hash, run.questions, run.conditions), []).append(run)
    for those in alike.values():
        for one, other in combinations(those, 2):
            if base is None or other.lane == base:
                yield one, other
            elif one.lane == base:
                yield other, one


def _merged(lanes: Sequence[PlannedLane], bench: Sequence[Judge], runs: Sequence[RunSpec]) -> tuple[PlannedLane, ...]:
    needs = {
        (str(judge.model.ref), quant): needed for judge in bench for quant, needed in judge.model.memory_bytes.items()
    }
    found = {one.lane: one for one in lanes}
    for run in runs:
        known = found.get(run.lane) or PlannedLane(run.lane, 0, 0, needs[str(run.model), run.quant], 0)
        parts = known.parts + len(parts_of(run.questions, run.conditions.scoring))
        found[run.lane] = replace(known, runs=known.runs + 1, questions=known.questions + run.questions, parts=parts)
    return tuple(found.values())
