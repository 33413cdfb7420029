"""Models that say what a function of their prompt says, behind the seam of engines: candidates, and judges with a bias.

The worker, the benchmark and the store are the real ones; what is made up is the model alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from proctor.exams.judges import prompts
from proctor.exams.judging.texts import last_number
from proctor.exams.reading.identity import content_hash, question_id
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.form import Form, Headline, Kind, Metric, Source
from proctor.nouns.briefs import Brief, Grading
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Conditions, Exam, Question, Scoring
from proctor.nouns.models import Device, DType, ModelRef, ModelSource, Quant
from proctor.nouns.runs import RunSpec
from proctor.store.database.session import Store
from proctor.store.runs import exams, sweeps
from proctor.store.runs.sweeps import identity_of
from tests.bigram import END, BigramEngine, BigramGenerator, Bytes
from tests.integration.store_world import request
from tests.sweeps import in_parts
from workers.engines.base import LoadRequest
from workers.engines.generation import GenerationRequest, NextToken

Script = Callable[[str], str]
QUESTIONS = 24
_BLOCK = re.compile(r"^----- (.+?) -----$", re.MULTILINE)


def blocks(prompt: str) -> list[tuple[str, str]]:
    """The marked parts of a judge's prompt, each with its heading; the ends left out."""
    parts = _BLOCK.split(prompt)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [(heading, text.strip()) for heading, text in pairs if heading != "End"]


def answers(prompt: str) -> list[str]:
    """The last answer of each assistant, in the order in which they are shown."""
    last: dict[str, str] = {}
    for heading, text in blocks(prompt):
        who, comma, _ = heading.partition(", answer")
        if comma:
            last[who] = text
    return list(last.values())


def always_a(prompt: str) -> str:
    """Of pairs always the first; any answer alone is rated 8."""
    return "A it is.\nVerdict: [[A]]" if "Verdict" in prompt else "Fine.\nRating: [[8]]"


def the_longer(prompt: str) -> str:
    """The longer of two; alone, a point for every 10 characters."""
    said = answers(prompt)
    if "Verdict" not in prompt:
        return f"So long.\nRating: [[{min(10, 1 + len(said[0]) // 10)}]]"
    one, other = map(len, said)
    return f"Length decides.\nVerdict: [[{'C' if one == other else 'A' if one > other else 'B'}]]"


def by_reference(prompt: str) -> str:
    """Whether the reference's number stands in an answer: 10 or 1, or the one that has it."""
    reference = next((text for heading, text in blocks(prompt) if "reference" in heading), "")
    has = [last_number(text) == last_number(reference) for text in answers(prompt)]
    if "Verdict" not in prompt:
        return f"An example is Rating: [[5]], and here:\nRating: [[{10 if has[0] else 1}]]"
    return f"Verdict: [[{'C' if has[0] == has[1] else 'A' if has[0] else 'B'}]]"


def mumbling(prompt: str) -> str:
    """No verdict at the first time; at the second of every other question, by its length."""
    asked_again = prompts.GRADE_AGAIN in prompt or prompts.PAIR_AGAIN in prompt
    if asked_again and len(prompt) % 2:
        return "Verdict: [[B]]" if "Verdict" in prompt else "Rating: [[4]]"
    return "Hard to say. Rating: [[11]]"


def silent(_prompt: str) -> str:
    """No verdict at all."""
    return "I would rather not say."


def terse(prompt: str) -> str:
    """Right on two of three sums, in a number alone."""
    return str(_sum(prompt, every=3))


def wordy(prompt: str) -> str:
    """Right on every other sum, in many words."""
    return f"Let me think about that for a while, and then some more. I would say that it is {_sum(prompt, every=2)}"


def _sum(prompt: str, every: int) -> int:
    one, other = map(int, re.findall(r"What is (\d+) plus (\d+)\?", prompt)[-1])
    return one + other + (one % every == 0)


SCRIPTS: dict[str, Script] = {
    "org/terse-1B": terse, "org/wordy-1B": wordy, "judges/first-70B": always_a, "judges/longer-70B": the_longer,
    "judges/reference-70B": by_reference, "judges/mumbling-70B": mumbling,
    "judges/silent-70B": silent,
}  # fmt: skip
CANDIDATES = ("org/terse-1B", "org/wordy-1B")


class LongBytes(Bytes):
    """Bytes with room for a judge's prompt."""

    window = 20_000


class Speaker(BigramGenerator):
    """Says its script's reply to each prompt, a byte a step."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script
        self._said: dict[str, bytes] = {}

    def add(self, request: GenerationRequest) -> int:
        self._said[request.id] = self._script(bytes(request.prompt).decode()).encode()
        return super().add(request)

    def _next(self, request: GenerationRequest, tokens: list[int]) -> NextToken:
        said = self._said[request.id]
        if len(tokens) == len(said):
            return NextToken(request.id, END, finish=Finish.STOP)
        tokens.append(said[len(tokens)])
        finish = Finish.LENGTH if len(tokens) >= request.limit else None
        return NextToken(request.id, tokens[-1], finish=finish)


@dataclass(frozen=True, eq=False)
class ScriptedEngine(BigramEngine):
    """The `Engine` of a script."""

    tokenizer: Bytes = field(default_factory=LongBytes)

    def stream(self) -> BigramGenerator:
        return Speaker(SCRIPTS[self.ref.name])


def load(request: LoadRequest) -> ScriptedEngine:
    """What `Models` loads by."""
    return ScriptedEngine(request.ref, request.quant)


def exam(turns: Sequence[str] = (), subject: str = "sums", *, open_: bool = True) -> Exam:
    """Sums, in one message or in several; a judge alone tells them apart, or a program does by their last number."""
    metric = Metric("judged" if open_ else "number")
    form = Form(Kind.WRITE, (metric,), Headline(metric.name, "none"), until=(), max_tokens=200, source=Source(subject))
    made = []
    for number in range(QUESTIONS):
        text = f"What is {number} plus {number + 7}?"
        asked = tuple(turn.format(number=number, other=number + 8) for turn in turns)
        reference = str(2 * number + 7)
        made.append(Question(question_id(subject, text, (), asked), number, text, reference=reference, turns=asked))
    return Exam("own", subject, (), tuple(made), content_hash(subject, (), made, form.json()), form=form.json())


def ref(name: str) -> ModelRef:
    return ModelRef(name, ModelSource.HUB, "r")


def candidate(paper: Exam, name: str) -> RunSpec:
    """A candidate's Run."""
    scoring = Scoring.OPEN if '"metric":"judged"' in paper.form else Scoring.WRITTEN
    conditions = Conditions(shots=0, chat_template=True, prompt_version=FORM_VERSION, scoring=scoring)
    return RunSpec(
        ref(name), Quant.NONE, Device.CPU, DType.FLOAT32, paper.benchmark, paper.subject, paper.content_hash,
        len(paper.questions), conditions,
    )  # fmt: skip


def judging(judge: str, one: RunSpec, other: RunSpec | None = None) -> RunSpec:
    """A judge's Run on a candidate's, or on a pair."""
    brief = Brief(
        Grading.GRADES if other is None else Grading.PAIRS, identity_of(one), identity_of(other) if other else "",
        prompts.DIGEST,
    )  # fmt: skip
    conditions = Conditions(
        shots=0, chat_template=True, prompt_version=prompts.VERSION, scoring=Scoring.JUDGED, brief=brief
    )
    return replace(one, model=ref(judge), conditions=conditions)


def submit(
    store: Store,
    paper: Exam,
    judges: Sequence[str],
    *,
    pairs: bool = False,
    grades: bool = True,
    name: str = "judged",
    parts: int = 1,
) -> int:
    """A sweep of both candidates, and of judges that rate them or compare them, each Run in so many parts; its id."""
    exams.save_exam(store, paper)
    sat = [candidate(paper, one) for one in CANDIDATES]
    rated = [judging(judge, one) for judge in judges for one in sat if grades]
    compared = [judging(judge, *both) for judge in judges for both in combinations(sat, 2) if pairs]
    specs = [*sat, *rated, *compared]
    return sweeps.submit(store, request(name), specs, fresh=True, split=in_parts(parts)).sweep_id
