"""Filter chains by a form's names: what each makes of the replies to a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from proctor.errors import BadExam
from proctor.exams.judging import filters, task_filters
from proctor.exams.judging.arguments import Reader
from proctor.exams.judging.filters import Filter, Piece
from proctor.exams.judging.maths import answers
from proctor.exams.judging.replies import ReadReply, Standing
from proctor.exams.tasks.form import Chain, Step
from proctor.nouns.exams import Question

FILTERS: Mapping[str, Callable[[Reader], Filter]] = {
    "regex": filters.regex,
    "remove_whitespace": filters.changed(str.strip),
    "lowercase": filters.changed(str.lower),
    "uppercase": filters.changed(str.upper),
    "map": filters.mapped,
    "multi_choice_regex": filters.multi_choice_regex,
    "take_first": filters.take_first,
    "take_first_k": filters.take_first_k,
    "majority_vote": filters.majority_vote,
    "number_or_words": task_filters.number_or_words,
    "map_regex": task_filters.map_regex,
    "options_in_text": task_filters.options_in_text,
    "sorted_words": task_filters.sorted_words,
    "code_behind_prompt": task_filters.code_behind_prompt,
    "code_behind_prompt_to_fence": task_filters.code_behind_prompt_to_fence,
    "code_block": task_filters.code_block,
    "between_dollars": answers.between_dollars,
    "final_answer": answers.final_answer,
    "last_boxed": answers.last_boxed,
}


@dataclass(frozen=True)
class Outcome:
    """What a chain made of the replies to one question."""

    chain: str
    pieces: tuple[Piece, ...]  # at least one; several where the chain keeps several replies
    standing: Standing
    cut: bool  # whether a reply was cut by the limit, extracted from or not

    @property
    def text(self) -> str:
        """What metrics are given: of the first piece, a fallback's included."""
        return self.pieces[0].text

    @property
    def extracted(self) -> str | None:
        """What was read out; None where nothing was."""
        return self.text if self.standing is Standing.EXTRACTED else None


def made(step: Step, *, probes: bool = False) -> Filter:
    """The filter that a step names; `probes` as of `Reader`.

    Raises `BadExam` for an unknown name, and for arguments that it can't take.
    """
    if step.function not in FILTERS:
        raise BadExam(f"No filter is called {step.function!r}.", f"There are {', '.join(sorted(FILTERS))}.")
    reader = Reader(f"The filter {step.function}", step.arguments, probes=probes)
    ready = FILTERS[step.function](reader)
    reader.check_all_read()
    return ready


def through(chain: Chain, replies: Sequence[ReadReply], question: Question) -> Outcome:
    """Send the replies, at least one, through the chain's filters in their order. Raises as `made`."""
    pieces: Sequence[Piece] = [Piece(reply.text) for reply in replies]
    for step in chain.steps:
        pieces = made(step)(pieces, question)
    found = pieces[0].found and bool(pieces[0].text)
    speaking = next((reply for reply in replies if reply.text.strip()), replies[0])
    return Outcome(chain.name, tuple(pieces), speaking.standing(found), any(reply.cut for reply in replies))
