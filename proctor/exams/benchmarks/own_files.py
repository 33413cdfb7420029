"""Files of one's own, and the exam `demo` that comes with Proctor: multiple choice, put and marked as MMLU.

`proctor.exams.reading.layout` says how files may lie, `proctor.exams.reading.questions` what a row may hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from proctor.errors import BadExam
from proctor.exams.benchmarks.base import Benchmark, ExamSet
from proctor.exams.benchmarks.mmlu import ask
from proctor.exams.benchmarks.mmlu_prompts import PROMPT_VERSION
from proctor.exams.marking.choice import mark
from proctor.exams.reading import layout
from proctor.exams.reading.assembly import Splits, assemble
from proctor.exams.reading.files import READERS, read
from proctor.exams.reading.layout import Source, Split
from proctor.exams.reading.problems import Faults
from proctor.exams.reading.questions import draft
from proctor.exams.reading.subjects import select
from proctor.nouns.exams import Choose
from proctor.printing import quoted

DEMO_FOLDER = Path(__file__).parents[1] / "data" / "demo"


def own_files(root: Path) -> Benchmark:
    """The benchmark of a file or folder, called by the last part of its path."""
    return _named(root.stem if root.suffix.casefold() in READERS else root.name, root)


def _named(name: str, root: Path) -> Benchmark:
    return Benchmark(name, PROMPT_VERSION, Choose, partial(read_files, name, root), ask, mark)


def read_files(name: str, root: Path, wanted: Sequence[str]) -> ExamSet:
    """The exams in a file or folder, called `name`.

    Files of other subjects are not read where file names tell subjects.

    Raises
    ------
    BadExam
        for what can't be read as questions, `SeveralFaults` for several faults: all of them, up to 20 kinds.
    UnknownName
        for an unknown subject.
    """
    sources, notes = _to_read(layout.find(root))
    if not sources:
        raise BadExam(f"{quoted(name)} holds training questions only.", "Give a file or folder with test questions.")
    named = root.is_dir() and _files_tell_subjects(sources)
    if named:
        chosen = select(wanted, dict.fromkeys(source.subject for source in sources))
        sources = [source for source in sources if source.subject in chosen]
    faults = Faults()
    splits: dict[str, Splits] = defaultdict(Splits)
    for source in sources:
        rows = read(source.path, source.label, faults)
        subject = source.subject or quoted(root.stem)
        drafts = draft(rows, source.label, subject, faults, named=named)
        notes += drafts.notes
        for item in drafts.questions:
            splits[item.subject].of(dev=source.split is Split.DEV).append(item)
    faults.raise_any()
    available = [subject for subject, split in splits.items() if split.test]
    if not available:
        raise BadExam(f"{quoted(name)} holds no test questions.", "Give a file or folder with test questions.")
    chosen = select(wanted, available)
    exams, found = assemble(name, {subject: splits[subject] for subject in chosen})
    return ExamSet(name, PROMPT_VERSION, exams, (*notes, *found))


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


DEMO = _named("demo", DEMO_FOLDER)
