"""Writing a task out: its rows rendered once into an Exam's questions, examples drawn once, the rest as a Form. Pure.

Whoever asks and marks such an exam needs no template, no draw and no data set. Examples are drawn over all rows, before
copies are dropped; `Exam.dev` holds those alone that are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from proctor.errors import BadExam
from proctor.exams.reading.assembly import DROPPED
from proctor.exams.reading.identity import content_hash
from proctor.exams.tasks import draw
from proctor.exams.tasks.definition import SEED, Row, Task
from proctor.exams.tasks.fields import of_example, of_question
from proctor.exams.tasks.forming import form_of
from proctor.exams.tasks.items import example_of, question_of, shape_of
from proctor.exams.tasks.templates import read_template
from proctor.nouns.exams import Exam, Question

Split = Callable[[str], Sequence[Row]]  # the rows of a split by its name


@dataclass(frozen=True)
class WrittenOut:
    """An exam, and what a reader of its results must know."""

    exam: Exam
    notes: tuple[str, ...] = ()


def write_out(task: Task, split: Split, benchmark: str, shots: int | None = None, seed: int = SEED) -> WrittenOut:
    """The exam of a task, called by the task's name within the benchmark; `shots` are those that were asked for.

    Raises
    ------
    BadExam
        for rows that a field can't be made of, and for a pool that is too small.
    """
    rows, wanted = _asked(task, split), task.shots(shots)
    pool = _pool(task, split, wanted)
    copies = draw.copies_of(rows, pool) if wanted else ()
    places = _drawn(task, len(rows), len(pool), wanted, seed, copies)
    used = {place: number for number, place in enumerate(sorted({one for row in places for one in row}))}
    columns = frozenset(rows[0])
    shown, asked = of_example(task.name, task.asking, columns), of_question(task.name, task.asking, columns)
    dev = tuple(example_of(task, shown, pool[place], place) for place in used)
    shape = shape_of(task, asked, rows[0])
    kept: dict[str, Question] = {}
    for index, row in enumerate(rows):
        question = question_of(task, asked, row, index, shape)
        kept.setdefault(question.id, replace(question, shots=tuple(used[place] for place in places[index])))
    form = form_of(task, _description(task, rows), seed).json()
    questions = tuple(kept.values())
    content = content_hash(task.name, dev, questions, form)
    exam = Exam(benchmark, task.name, dev, questions, content, len(rows) - len(kept), form)
    themselves = sum(not set(row).isdisjoint(same) for row, same in zip(places, copies, strict=False))
    return WrittenOut(exam, tuple(_notes(exam, shots, wanted, themselves)))


def _asked(task: Task, split: Split) -> Sequence[Row]:
    rows = split(task.rows.asked)
    if task.rows.prepare:
        rows = task.rows.prepare(rows)
    if not rows:
        raise BadExam(f"{task.name!r} has no rows in {task.rows.asked!r}.")
    return rows


def _pool(task: Task, split: Split, wanted: int) -> Sequence[Row]:
    """The rows that examples are drawn from; none where none is shown."""
    if not wanted:
        return ()
    if not task.rows.pool and task.rows.samples is not None:
        return task.rows.samples
    rows = split(task.rows.shown)
    prepare = (task.rows.prepare_pool if task.rows.pool else None) or task.rows.prepare
    return prepare(rows) if prepare else rows


def _drawn(task: Task, rows: int, pool: int, shots: int, seed: int, copies: draw.Copies) -> list[tuple[int, ...]]:
    without = copies if task.rows.may_meet_itself and shots else None
    if task.asking.first_shots:
        return draw.first(pool, rows, shots, without)
    return draw.draw(pool, rows, shots, seed, without)


def _description(task: Task, rows: Sequence[Row]) -> str:
    """The description, which must be the same for all rows."""
    source = task.asking.description
    if source in rows[0]:
        found = {str(row[source]) for row in rows}
    elif "{" not in source:
        return source
    else:
        template = read_template(source, f"The description of {task.name!r}")
        found = {template.render(row) for row in rows}
    if len(found) > 1:
        raise BadExam(f"The description of {task.name!r} differs from row to row.", "Put what differs into the text.")
    return found.pop()


def _notes(exam: Exam, asked: int | None, shown: int, themselves: int) -> Iterator[str]:
    if exam.duplicates_dropped:
        yield f"{DROPPED}: {exam.duplicates_dropped} ({exam.subject})."
    if asked and not shown:
        yield f"{exam.subject} is asked without examples: its task allows none."
    if themselves:
        yield (
            f"{exam.subject} shows {themselves} questions among their own examples, with their answers, as "
            "lm-evaluation-harness does where a task names no pool."
        )
