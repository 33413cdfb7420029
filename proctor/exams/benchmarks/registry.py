"""A benchmark's exams from its name or from a file or folder: checked, without copies, each with its hash."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from proctor.errors import BadExam, UnknownName
from proctor.exams.benchmarks.mmlu_prompts import check_shots
from proctor.exams.reading import hub, layout
from proctor.exams.reading.assembly import Splits, assemble
from proctor.exams.reading.files import READERS, read
from proctor.exams.reading.layout import Source, Split
from proctor.exams.reading.problems import Faults, printable
from proctor.exams.reading.questions import draft
from proctor.exams.reading.subjects import select
from proctor.nouns.exams import Exam

DEMO_FOLDER = Path(__file__).parents[1] / "data" / "demo"
NAMES = ("demo", "mmlu")


@dataclass(frozen=True)
class Benchmark:
    """Exams by subject, in the benchmark's order, and what a reader of results must know about them."""

    name: str  # "mmlu", "demo", or the last part of a path: the same questions are the same benchmark anywhere
    exams: Mapping[str, Exam]
    notes: tuple[str, ...] = ()

    def check_shots(self, shots: int) -> None:
        """Raise `BadExam` (`SeveralFaults` for several) for exams with fewer dev questions than `shots`."""
        faults = Faults()
        for exam in self.exams.values():
            try:
                check_shots(exam, shots)
            except BadExam as fault:
                faults.add(fault)
        faults.raise_any()


def load_benchmark(name_or_path: str, subjects: Sequence[str] = ()) -> Benchmark:
    """The benchmark of this name (`mmlu`, `demo`), or the one in a file or folder; `./mmlu` is always a path.

    `subjects` are those wanted, as `proctor.exams.reading.subjects.select` takes them: names, groups, none for all.
    Files of other subjects are not read where file names tell subjects. See `proctor.exams.reading.layout` for how
    files may lie, and `proctor.exams.reading.questions` for what a row may hold.

    Raises
    ------
    BadExam
        for what can't be read as questions, `SeveralFaults` for several faults: all of them, up to 20 kinds.
    UnknownName
        for an unknown benchmark or subject.
    """
    if name_or_path == "mmlu":
        return _load_mmlu(subjects)
    if name_or_path == "demo":
        return _load_path("demo", DEMO_FOLDER, subjects)
    path = _existing(name_or_path)
    if path is None:
        raise UnknownName(
            "benchmark",
            name_or_path,
            difflib.get_close_matches(name_or_path, NAMES),
            f"Give {' or '.join(NAMES)}, or the path of a file or folder of questions.",
        )
    return _load_path(path.stem if path.suffix.casefold() in READERS else path.name, path, subjects)


def _existing(path: str) -> Path | None:
    try:
        resolved = Path(path).expanduser().resolve()
        return resolved if path and resolved.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, ~nobody, a NUL: no path at all
        return None


def _load_path(name: str, root: Path, wanted: Sequence[str]) -> Benchmark:
    sources, notes = _to_read(layout.find(root))
    if not sources:
        raise BadExam(f"{printable(name)} holds training questions only.", "Give a file or folder with test questions.")
    named = root.is_dir() and _files_tell_subjects(sources)
    if named:
        chosen = select(wanted, dict.fromkeys(source.subject for source in sources))
        sources = [source for source in sources if source.subject in chosen]
    faults = Faults()
    splits: dict[str, Splits] = defaultdict(Splits)
    for source in sources:
        rows = read(source.path, source.label, faults)
        subject = source.subject or printable(root.stem)
        found = draft(rows, source.label, subject, faults, named=named)
        notes += found.notes
        for item in found.questions:
            splits[item.subject].of(dev=source.split is Split.DEV).append(item)
    faults.raise_any()
    available = [subject for subject, split in splits.items() if split.test]
    if not available:
        raise BadExam(f"{printable(name)} holds no test questions.", "Give a file or folder with test questions.")
    chosen = select(wanted, available)
    return _benchmark(name, {subject: splits[subject] for subject in chosen}, notes)


def _load_mmlu(wanted: Sequence[str]) -> Benchmark:
    faults = Faults()
    splits: dict[str, Splits] = {}
    notes: list[str] = []
    for subject in select(wanted, hub.SUBJECTS):
        dev, test = (
            draft(hub.rows(hub.REPO, subject, split), f"{hub.REPO}/{subject}/{split}", subject, faults, named=True)
            for split in ("dev", "test")
        )
        splits[subject] = Splits(list(dev.questions), list(test.questions))
        notes += dev.notes + test.notes
    faults.raise_any()
    return _benchmark("mmlu", splits, notes)


def _benchmark(name: str, splits: Mapping[str, Splits], notes: Sequence[str]) -> Benchmark:
    exams, found = assemble(name, splits)
    return Benchmark(name, exams, (*notes, *found))


def _to_read(sources: Sequence[Source]) -> tuple[list[Source], list[str]]:
    """The sources that hold dev and test questions, and what a person must know about the choice."""
    present = {source.split for source in sources}
    kept = {Split.DEV, Split.TEST}
    notes: list[str] = []
    if Split.TEST not in present and Split.VALIDATION in present:
        kept = {Split.DEV, Split.VALIDATION}
        notes.append("There is no test split: the questions are those of the validation split.")
    return [source for source in sources if source.split in kept], notes


def _files_tell_subjects(sources: Sequence[Source]) -> bool:
    """Whether each file holds the subject in its name, as far as its first row says."""
    return all(source.subject and _first_subject(source) in (None, source.subject) for source in sources)


def _first_subject(source: Source) -> object:
    # What is wrong with the file is said when it is read.
    with closing(read(source.path, source.label, Faults())) as rows:
        first = next(rows, None)
    return first.subject if first else None
