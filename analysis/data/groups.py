"""Which Runs may be compared: contestants, terms, and sets within which terms agree and each exam has one content."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.data.panel import Panel
from analysis.data.phrases import listed
from analysis.data.terms import Condition, Terms
from proctor.contestants import Contestant, labels
from proctor.nouns.exams import Scoring
from proctor.nouns.models import DType, Lane
from proctor.store.reads.records import RunRecord


def contestant_of(record: RunRecord) -> Contestant:
    """Who sat this Run, by what it computed in; by what was asked for where it never began."""
    spec = record.spec
    dtype = spec.dtype if record.provenance is None else record.provenance.dtype
    return Contestant(spec.model.name, spec.model.revision, spec.quant.value, spec.device.value, dtype.value)


def assessed_of(record: RunRecord) -> Contestant:
    """Whose answers a Run tells of: of a judge's the candidate, else who sat it."""
    return contestant_of(record.judged[0]) if record.judged else contestant_of(record)


def contestants_of(records: Sequence[RunRecord]) -> dict[int, Contestant]:
    """The contestant of each Run by run id.

    A Run that never began is its fellows' where those of its lane for which the same type was asked all computed in
    one. Where they computed in several, or none has begun, nobody knows what it would compute in, and it is apart.
    """
    fellows: dict[tuple[Lane, DType], set[Contestant]] = defaultdict(set)
    for record in records:
        if record.provenance is not None:
            fellows[record.spec.lane, record.spec.dtype].add(contestant_of(record))
    found = {}
    for record in records:
        theirs = fellows[record.spec.lane, record.spec.dtype]
        alone = record.provenance is not None or len(theirs) != 1
        found[record.run_id] = contestant_of(record) if alone else next(iter(theirs))
    return found


def labels_of(records: Sequence[RunRecord]) -> dict[Contestant, str]:
    """The label of each contestant of these Runs among the others."""
    judged = [contestant_of(one) for record in records for one in record.judged]
    everyone = list(dict.fromkeys([*contestants_of(records).values(), *judged]))
    return dict(zip(everyone, labels(everyone), strict=True))


def names_of(records: Sequence[RunRecord]) -> dict[int, str]:
    """The label of each Run's contestant by run id."""
    name = labels_of(records)
    return {run_id: name[contestant] for run_id, contestant in contestants_of(records).items()}


def terms_of(record: RunRecord) -> Terms:
    """What must agree with another Run's for the two to be compared."""
    if record.judged:
        theirs, version = terms_of(record.judged[0]), record.spec.conditions.prompt_version
        judged = Scoring.JUDGED.value
        return replace(theirs, scoring=judged, judged_by="", judge=contestant_of(record), judge_prompts=version)
    said = record.spec.conditions
    judged_by = "" if record.provenance is None else record.provenance.judged_by
    benchmark, scoring = record.spec.benchmark, said.scoring.value
    return Terms(benchmark, said.prompt_version, said.shots, said.chat_template, scoring, judged_by)


@dataclass(frozen=True)
class Edition:
    """What a contestant sat under the same terms, each subject in one content."""

    terms: Terms
    records: tuple[RunRecord, ...]
    age: int  # 0: every content is the newest; else how many newer ones there are, summed over subjects

    @property
    def contents(self) -> dict[str, str]:
        """The exam's hash by subject."""
        return {record.spec.subject: record.spec.exam_hash for record in self.records}


def comparable_groups(records: Sequence[RunRecord]) -> list[list[RunRecord]]:
    """Runs in groups within which terms agree and no subject's exam has two contents.

    First come the terms of most Runs, and within the same terms the newest contents. A contestant goes whole into the
    first group that it doesn't contradict. One that sat an exam again after its content had changed is in two groups,
    each time with its other subjects beside it.
    """
    size = Counter(map(terms_of, records))
    groups: list[tuple[Terms, dict[str, str], list[RunRecord]]] = []
    for edition in sorted(_editions(records), key=lambda one: one.age):
        for terms, known, members in groups:
            if terms == edition.terms and all(known.get(s, hash) == hash for s, hash in edition.contents.items()):
                known.update(edition.contents)
                members.extend(edition.records)
                break
        else:
            groups.append((edition.terms, edition.contents, list(edition.records)))
    return [members for _, _, members in sorted(groups, key=lambda group: -size[group[0]])]


def _editions(records: Sequence[RunRecord]) -> Iterator[Edition]:
    ranks = _ranks(records)
    sat: dict[tuple[Terms, Contestant], dict[str, list[RunRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        sat[terms_of(record), assessed_of(record)][record.spec.subject].append(record)
    for (terms, _), subjects in sat.items():
        ordered = [sorted(theirs, key=lambda record: ranks[_exam(record)]) for theirs in subjects.values()]
        for number in range(max(map(len, ordered))):
            chosen = tuple(theirs[min(number, len(theirs) - 1)] for theirs in ordered)
            yield Edition(terms, chosen, sum(ranks[_exam(record)] for record in chosen))


def _ranks(records: Sequence[RunRecord]) -> Mapping[Hashable, int]:
    """How many newer contents there are of each exam, among the Runs under the same terms, by the last Run on each."""
    latest: dict[tuple[Terms, str], dict[str, int]] = defaultdict(dict)
    for record in records:
        contents = latest[terms_of(record), record.spec.subject]
        contents[record.spec.exam_hash] = max(record.run_id, contents.get(record.spec.exam_hash, 0))
    return {
        (*exam, content): rank
        for exam, contents in latest.items()
        for rank, content in enumerate(sorted(contents, key=lambda content: -contents[content]))
    }


def _exam(record: RunRecord) -> tuple[Terms, str, str]:
    return terms_of(record), record.spec.subject, record.spec.exam_hash


def differences(first: Panel, second: Panel, across: Collection[Condition] = ()) -> list[str]:
    """What sets two panels apart, each in words: terms but for those in `across`, and the contents of exams."""
    found = first.terms.differences(second.terms, across)
    changed = [one for one, content in sorted(first.exams.items()) if second.exams.get(one, content) != content]
    if changed:
        found.append(f"another exam content in {listed(changed)}")
    return found
