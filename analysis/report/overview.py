"""What was run, what is missing, and where every number comes from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from analysis.data.groups import contestant_of, names_of, terms_of
from analysis.data.panel import Level, Panel
from analysis.data.phrases import counted, listed
from analysis.data.results import Results
from analysis.data.sets import scoped, set_names, with_sets
from analysis.data.tables import Column, Table, Value
from analysis.report.blocks import Block, Bullets, Folded, Section, Text
from analysis.report.judge_words import unjudged_notes
from analysis.verdicts.same_prompts import why_apart
from proctor.nouns.runs import RunStatus
from proctor.store.reads.records import RunRecord


def missing_section(results: Results, levels: Sequence[Level]) -> Section | None:
    """What failed, never ended or can't be compared; None where nothing is missing."""
    unfinished = results.unfinished()
    notes = [
        *_set_aside(levels, set_names(results.panels)),
        *_superseded(results),
        *_incomparable(results),
        *unjudged_notes(results),
        *_passed_over(results),
    ]
    if not unfinished and not notes:
        return None
    blocks: list[Block] = []
    if unfinished:
        states = Counter(record.status.value for record in unfinished)
        counts = listed([f"{count} {state}" for state, count in states.most_common()], most=5)
        blocks.append(
            Text(
                f"{counted(len(unfinished), 'Run')} of {len(results.records):,} did not finish ({counts}). What they "
                "answered before is shown, and compared only on questions that all were asked."
            )
        )
        blocks.append(_unfinished_table(unfinished, results))
    if notes:
        blocks.append(Bullets(tuple(notes)))
    return Section("missing", "What failed or is missing", tuple(blocks))


def ran_section(results: Results) -> Section:
    """Contestants and what they sat."""
    if not results.records:
        return Section("ran", "What was run", (Bullets(tuple(map(_imported, results.panels))),))
    names, records = names_of(results.records), results.records
    subjects = {(record.spec.benchmark, record.spec.subject) for record in records}
    sweeps = dict.fromkeys(f"{record.sweep_name or 'unnamed'} (sweep {record.sweep_id})" for record in records)
    answered = sum(record.answered for record in records)
    terms = list(dict.fromkeys(str(terms_of(record)) for record in records))
    limits = sorted({record.spec.conditions.limit for record in records if record.spec.conditions.limit is not None})
    who = counted(len(set(names.values())), "contestant")
    facts = [
        f"{who}, {counted(len(subjects), 'subject')}, {counted(len(records), 'Run')}, {answered:,} answers.",
        f"From {listed(list(sweeps), most=8)}.",
        f"Terms: {'; '.join(terms)}.",
    ]
    if limits:
        facts.append(f"Only the first {listed([str(limit) for limit in limits])} questions of a subject were asked.")
    facts += [_imported(panel) for panel in results.imported]
    who_sat = Folded("Who sat the exams", (_contestants_table(records, names),))
    return Section("ran", "What was run", (Bullets(tuple(facts)), who_sat))


def provenance_section(results: Results) -> Section | None:
    """What produced the numbers: alike Runs in one row, exams by their content. None where all is imported."""
    if not results.records:
        return None
    names = names_of(results.records)
    return Section(
        "provenance",
        "Provenance of every Run",
        (_provenance_table(results.records, names), _exams_table(results)),
    )


def _imported(panel: Panel) -> str:
    """An imported panel in a sentence."""
    return (
        f"{panel.terms}: {counted(len(panel.contestants), 'contestant')}, {counted(len(panel.subjects), 'subject')}, "
        f"{counted(len(panel.questions), 'question')}. Nobody here saw them computed: what they cost is not known."
    )


def _set_aside(levels: Sequence[Level], names: Sequence[str]) -> list[str]:
    notes: list[str] = []
    for level, name in zip(levels, names, strict=True):
        said = []
        if level.set_aside:
            said.append(
                f"{listed(level.set_aside, most=10)}: asked too few of the questions, or too many after other numbers "
                "of shots, to be compared with the others; left out of everything below but the tables of Runs."
            )
        unasked = level.questions_left_out - level.other_shots
        if unasked:
            said.append(
                f"{counted(unasked, 'question')} of {level.questions_before:,} not asked of everyone are left out of "
                "the comparison."
            )
        if level.other_shots:
            said.append(
                f"{counted(level.other_shots, 'question')} of {level.questions_before:,} put after more shots to some "
                "than to others are left out of the comparison."
            )
        notes += scoped(said, name)
    return notes


def _superseded(results: Results) -> list[str]:
    if not results.superseded:
        return []
    runs = listed([str(record.run_id) for record in results.superseded], most=12)
    notes = [f"Runs {runs}: a fuller or later Run of the same contestant on the same exam is shown in their place."]
    if results.reworded:
        reworded = listed([str(run) for run in sorted(results.reworded)], most=12)
        notes.append(
            f"Runs {reworded} of these put other prompts than the Run that is shown, on "
            f"{counted(sum(results.reworded.values()), 'question')}, although the conditions are the same: a date in a "
            "chat template does that."
        )
    return notes


def _incomparable(results: Results) -> list[str]:
    """What sets the panels apart, in words: from the first, or from the newer one under the same terms."""
    notes = []
    for number, panel in enumerate(results.panels[1:], start=2):
        former_ones = results.panels[: number - 1]
        alike = [place for place, one in enumerate(former_ones) if _of_one_benchmark(one, panel)]
        if not alike:
            continue  # nobody expects two benchmarks in one set
        same = [place for place in alike if former_ones[place].terms == panel.terms]
        other = (same or alike)[0]
        former = results.panels[other]
        why = listed(why_apart(former, panel), most=6)
        newer = f" (set {other + 1} has the newer)" if same and former.exams != panel.exams else ""
        notes.append(f"Set {number} is never mixed with set {other + 1}: {why}{newer}.")
    return notes


def _of_one_benchmark(first: Panel, second: Panel) -> bool:
    """Whether two panels could be one set: imported results may be of any benchmark."""
    imported = first.terms.imported or second.terms.imported
    return imported or first.terms.benchmark == second.terms.benchmark


def _passed_over(results: Results) -> list[str]:
    return [f"Imported: {note}." for note in results.notes]


def _unfinished_table(records: Sequence[RunRecord], results: Results) -> Table:
    names = names_of(results.records)
    columns = (
        Column("Run", numeric=True), Column("contestant"), Column("subject"), Column("status"),
        Column("answered", numeric=True), Column("of", numeric=True), Column("attempts", numeric=True),
        Column("reason"),
    )  # fmt: skip
    ordered = sorted(records, key=lambda record: (record.status is not RunStatus.FAILED, record.run_id))
    rows = [
        (r.run_id, names[r.run_id], r.spec.subject, r.status.value, r.answered, r.spec.questions, r.attempt, r.reason)
        for r in ordered
    ]
    table = Table("unfinished_runs", "Runs that did not finish, failed ones first.", columns, rows)
    return with_sets(table, [results.set_named(r) for r in ordered]) if len(results.panels) > 1 else table


def _contestants_table(records: Sequence[RunRecord], names: dict[int, str]) -> Table:
    grouped: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        grouped[names[record.run_id]].append(record)
    columns = (
        Column("contestant"), Column("model"), Column("quantization"), Column("device"), Column("dtype"),
        Column("Runs done", numeric=True), Column("Runs", numeric=True), Column("answered", numeric=True),
        Column("questions", numeric=True),
    )  # fmt: skip
    rows: list[tuple[Value, ...]] = []
    for name, runs in grouped.items():
        spec, done = runs[0].spec, sum(run.status is RunStatus.DONE for run in runs)
        dtype = listed(sorted({contestant_of(run).dtype for run in runs if run.provenance is not None}) or ["–"])
        answered, questions = sum(run.answered for run in runs), sum(run.spec.questions for run in runs)
        rows.append(
            (name, spec.model.name, spec.quant.value, spec.device.value, dtype, done, len(runs), answered, questions)
        )
    return Table("contestants", "A contestant is a model at one quantization on one kind of device.", columns, rows)


def _provenance_table(records: Sequence[RunRecord], names: dict[int, str]) -> Table:
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for record in records:
        made = record.provenance
        if made is not None:
            versions = ", ".join(f"{library} {version}" for library, version in sorted(made.versions.items()))
            alike[
                names[record.run_id], record.spec.model.name, record.spec.model.revision, made.dtype.value,
                made.attention, made.device_name, made.host, versions, "; ".join(made.notes),
            ].append(record.run_id)  # fmt: skip
    headings = (
        "contestant", "model", "revision", "dtype", "attention", "device", "host", "versions", "notes", "Runs",
    )  # fmt: skip
    rows = [(*key, _ranges(runs)) for key, runs in alike.items()]
    caption = "What computed them; Runs made alike share a row."
    return Table("provenance", caption, tuple(map(Column, headings)), rows)


def _exams_table(results: Results) -> Table:
    exams: dict[tuple[str, str, str, str], dict[str, None]] = defaultdict(dict)
    for r in results.records:
        exam = (r.spec.subject, r.spec.benchmark, r.spec.exam_hash, r.spec.conditions.prompt_version)
        exams[exam] |= {one: None for one in (results.set_named(r),) if one}
    headings = ("subject", "benchmark", "content (SHA-256)", "prompt version")
    rows = [(subject, benchmark, content[:16], version) for subject, benchmark, content, version in exams]
    table = Table("exams", "The exams by their content.", tuple(map(Column, headings)), rows)
    return with_sets(table, [", ".join(sets) for sets in exams.values()]) if len(results.panels) > 1 else table


def _ranges(numbers: Sequence[int]) -> str:
    """`1 to 3, 7`"""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join(" to ".join(map(str, part)) for part in parts)
