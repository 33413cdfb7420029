"""One question and everybody's answers to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from analysis.data.panel import Panel
from analysis.data.tables import Column, Table, Value, number, scaled
from analysis.stats.options import probabilities
from proctor.errors import UnknownName
from proctor.exams.judges.cases import BY_TURN
from proctor.exams.judging.references import parts_of
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import LETTERS, Question
from proctor.printing import visible
from proctor.store.database.session import Store
from proctor.store.reads.records import run
from proctor.store.reads.replies import WrittenAnswer, written_runs
from proctor.store.runs.briefs import replies
from proctor.store.runs.exams import load_exam


def find_question(panels: Sequence[Panel], wanted: str) -> tuple[Panel, int]:
    """The first panel that holds the question, and its place there; by id, or SUBJECT:INDEX or SUBJECT:ID.

    Raises
    ------
    UnknownName
        where no panel holds it; the nearest subjects are offered.
    """
    subject, _, rest = wanted.rpartition(":")
    for panel in panels:
        questions = panel.questions
        found = (questions["question_id"] == rest) & ((questions["subject"] == subject) | (subject == ""))
        if subject and rest.isdigit():
            found |= (questions["subject"] == subject) & (questions["question_index"] == int(rest))
        places = np.flatnonzero(found.to_numpy())
        if places.size:
            return panel, int(places[0])
    subjects = {name for panel in panels for name in panel.subjects}
    raise UnknownName(
        "question", wanted, get_close_matches(subject, subjects), "Give its id, or SUBJECT:INDEX such as anatomy:12."
    )


def question_text(panel: Panel, place: int) -> str:
    """The question with its options, what is right marked by a star; without options its reference."""
    row, right = panel.questions.iloc[place], panel.right_options[place]
    head = f"{row['subject']}:{row['question_index']} ({row['question_id']})"
    options = [
        f"{'*' if right[number] else ' '} {LETTERS[number]}. {visible(choice)}"
        for number, choice in enumerate(row["choices"])
    ]
    if not options and row.get("reference"):
        options = [f"* {visible(line)}" for text in _references(str(row["reference"])) for line in text.splitlines()]
    text = f"… {row['question']} (scored behind each of these)" if row.get("behind") else str(row["question"])
    lines = [visible(line) for line in text.splitlines()]
    return "\n".join([visible(head), "", *lines, *options, ""])


def _references(reference: str) -> list[str]:
    """What stands as right: of what a judge tells apart, the references that there are."""
    by_turn = parts_of(Question("", 0, "", reference=reference)).get(BY_TURN)
    return [str(one) for one in by_turn if one] if isinstance(by_turn, list) else [reference]


def answers_table(panel: Panel, place: int) -> Table:
    """A row a contestant that was asked: its pick, whether right, and the probability of every option.

    Without options, its points.
    """
    if not panel.has_options:
        return _points_table(panel, place)
    options = len(panel.questions["choices"].iloc[place])
    shown = scaled(100, 1, " %")
    chances = [Column(LETTERS[option], shown, numeric=True) for option in range(options)]
    rows: list[tuple[Value, ...]] = []
    for who in panel.ranking:
        if not panel.asked[who, place]:
            continue
        picked = int(panel.picked[who, place])
        each: list[float | None] = [None] * options
        if panel.logprob is not None:
            each = [float(p) for p in probabilities(panel.logprob[who, place][None, :options])[0]]
        pick = "–" if picked < 0 else LETTERS[picked]
        worth = float(panel.marks[who, place]) if panel.graded else bool(panel.correct[who, place])
        rows.append((panel.labels[who], pick, worth, *each))
    right = Column("points", number(2), numeric=True) if panel.graded else Column("right")
    columns = (Column("contestant"), Column("picked"), right, *chances)
    return Table("answers", "What each contestant answered, with the options' probabilities.", columns, rows)


def _points_table(panel: Panel, place: int) -> Table:
    rows: list[tuple[Value, ...]] = [
        (panel.labels[who], float(panel.marks[who, place]), not panel.silent[who, place])
        for who in panel.ranking
        if panel.asked[who, place]
    ]
    columns = (Column("contestant"), Column("points", number(2), numeric=True), Column("answer found"))
    return Table("answers", "What each contestant's answer is worth, from 0 to 1.", columns, rows)


def written_to(store: Store, panel: Panel, place: int) -> dict[str, WrittenAnswer]:
    """What the contestants wrote in answer to a question, by label; nothing where no replies are known."""
    if panel.replies is None:
        return {}
    wanted = panel.questions["question_id"].iloc[place]
    label = {
        run_id: panel.labels[seat] for seat, who in enumerate(panel.contestants) for run_id in panel.runs.get(who, ())
    }
    return {
        label[one.run_id]: answer
        for one in written_runs(store, sorted(label))
        for answer in one.answers
        if answer.question.id == wanted
    }


def reply_lines(label: str, answer: WrittenAnswer) -> list[str]:
    """A contestant's replies, indented, and what was read out of them."""
    read = "nothing read out" if answer.extracted is None else f"read out: {answer.extracted}"
    ends = {Finish.LENGTH: " (cut by the limit)"}
    texts = [
        f"  {visible(line)}"
        for reply in answer.replies
        for line in f"{reply.text}{ends.get(reply.finish, '')}".strip().splitlines()
    ]
    return [f"{visible(label)}, {visible(read)}", *texts, ""]


@dataclass(frozen=True)
class Heard:
    """What a judge was shown of a contestant, and what it said."""

    messages: tuple[str, ...]  # the user's
    answers: tuple[str, ...]  # the contestant's, one a message
    said: tuple[str, ...]  # the judge's, one after the other


def heard_by_judge(store: Store, panel: Panel, place: int) -> dict[str, Heard]:
    """A question's conversations and the judge's words on them, by label; nothing of a panel that none judged."""
    if panel.terms.judge is None:
        return {}
    wanted = str(panel.questions["question_id"].iloc[place])
    found = {}
    for seat, who in enumerate(panel.contestants):
        for run_id in sorted(panel.runs.get(who, ())):
            record = run(store, run_id)
            spec, answers, said = record.spec, replies(store, record.judged[0].run_id), replies(store, run_id)
            exam = load_exam(store, spec.benchmark, spec.subject, spec.exam_hash)
            question = next((one for one in exam.questions if one.id == wanted), None)
            if question is not None and wanted in said:
                texts = (tuple(one.text for one in some[wanted]) for some in (answers, said))
                found[panel.labels[seat]] = Heard((question.text, *question.turns), *texts)
    return found


def heard_lines(label: str, judge: str, heard: Heard) -> list[str]:
    """A contestant's conversation behind its first message, and the judge's words, indented."""
    lines = [f"{visible(label)}"]
    for turn, answer in enumerate(heard.answers):
        if turn:
            lines += [f"  > {visible(line)}" for line in heard.messages[turn].splitlines()]
        lines += [f"  {visible(line)}" for line in answer.strip().splitlines()]
    lines.append(f"{visible(judge)}, the judge")
    return [*lines, *(f"  {visible(line)}" for said in heard.said for line in said.strip().splitlines()), ""]
