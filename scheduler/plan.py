"""From a request to Runs: what would run, what it needs, and what it could show. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from proctor.errors import BadInput, DoesNotFit, ProctorError, SeveralFaults
from proctor.exams.judging.metrics import is_open
from proctor.exams.parts import parts_of
from proctor.exams.tasks.asking import FORM_VERSION
from proctor.exams.tasks.form import Kind, read_form
from proctor.nouns.exams import LETTERS, Conditions, Exam, Scoring
from proctor.nouns.models import Device, Lane, ModelRef, Quant
from proctor.nouns.runs import RunSpec, SweepRequest
from proctor.statistical_power import smallest_difference

# Shares of questions on which two models differ in being right, seen on 14 models and MMLU: two models of
# one league differ on about 30 %, a model and its 4-bit self on about 10 %.
DISCORDANCE_BETWEEN_MODELS = 0.30
DISCORDANCE_OF_QUANTIZATION = 0.10
SCORED = {  # of exams in a form
    Kind.CHOOSE: Scoring.TEXT,
    Kind.WRITE: Scoring.WRITTEN,
    Kind.LOGLIKELIHOOD: Scoring.ONE_TEXT,
    Kind.ROLLING: Scoring.PAGES,
}


VLLM = "vllm"  # in the place of a device: `net`, by workers that start vLLM for models whose files are here
_NO_SERVER = "Name one with --endpoint URL; on a fleet start `proctor worker --endpoint URL --model NAME`."


@dataclass(frozen=True)
class Candidate:
    """A model that was found, with the memory that it is predicted to need, in bytes, by quantization."""

    ref: ModelRef
    memory_bytes: Mapping[Quant, int]


@dataclass(frozen=True)
class Target:
    """A device that will serve: this machine's, or that of a worker that is alive."""

    device: Device
    name: str
    memory_bytes: int
    quantizes: bool  # bitsandbytes is there


@dataclass(frozen=True)
class PlannedLane:
    """One load of one model: its Runs and what it needs."""

    lane: Lane
    runs: int
    questions: int
    memory_bytes: int
    parts: int  # what a worker takes at a time: parts of large Runs, each other Run whole


@dataclass(frozen=True)
class Plan:
    """What a sweep comes to."""

    request: SweepRequest
    runs: tuple[RunSpec, ...]
    lanes: tuple[PlannedLane, ...]
    questions_each: int  # questions put to each model at each quantization

    @property
    def questions(self) -> int:
        return sum(run.questions for run in self.runs)

    @property
    def smallest_difference_models(self) -> float | None:
        """Smallest difference in accuracy between two models that so many questions could show; None: none at all."""
        return smallest_difference(DISCORDANCE_BETWEEN_MODELS, self.questions_each)

    @property
    def smallest_difference_quants(self) -> float | None:
        """The same between a model and its quantization."""
        return smallest_difference(DISCORDANCE_OF_QUANTIZATION, self.questions_each)


def expand(
    request: SweepRequest,
    models: Sequence[Candidate],
    exams: Sequence[Exam],
    targets: Sequence[Target],
    *,
    others_may_come: bool = False,
) -> Plan:
    """Runs of the request: every model at every quantization on every exam, a lane's Runs together.

    Raises
    ------
    SeveralFaults
        with everything that would keep a Run from being served by any of `targets`. Where `others_may_come`, as in a
        fleet, that is no fault: what no worker can serve now waits for one that can (`serving_faults` tells of it).
    """
    faults = exam_faults(request, exams)
    if not others_may_come:
        faults += serving_faults(request, models, targets)
    device, _ = choose_device(request.device, targets)
    if faults:
        raise SeveralFaults(faults)
    lanes: list[PlannedLane] = []
    runs: list[RunSpec] = []
    for model in models:
        for quant in request.quants:
            mine = [run_spec(request, model.ref, quant, device, exam) for exam in exams]
            needs = model.memory_bytes[quant]
            questions = sum(run.questions for run in mine)
            parts = sum(len(parts_of(run.questions, run.conditions.scoring)) for run in mine)
            lanes.append(PlannedLane(Lane(device, str(model.ref), quant), len(mine), questions, needs, parts))
            runs += mine
    return Plan(request, tuple(runs), tuple(lanes), sum(questions_asked(request, exam) for exam in exams))


def run_spec(request: SweepRequest, model: ModelRef, quant: Quant, device: Device, exam: Exam) -> RunSpec:
    return RunSpec(
        model=model,
        quant=quant,
        device=device,
        dtype=request.dtype,
        benchmark=exam.benchmark,
        subject=exam.subject,
        exam_hash=exam.content_hash,
        questions=questions_asked(request, exam),
        conditions=conditions_of(request.conditions, exam),
    )


def conditions_of(asked: Conditions, exam: Exam) -> Conditions:
    """The conditions of one exam. One in a form says itself what is scored, behind the examples drawn for it."""
    if not exam.form:
        return asked
    shots = max((len(question.shots) for question in exam.questions), default=0)
    form = read_form(exam.form)
    scored = Scoring.OPEN if is_open(form) else SCORED[form.kind]
    chat = asked.chat_template or form.chat
    return replace(asked, shots=shots, prompt_version=FORM_VERSION, scoring=scored, chat_template=chat)


def questions_asked(request: SweepRequest, exam: Exam) -> int:
    limit = request.conditions.limit
    return len(exam.questions) if limit is None else min(limit, len(exam.questions))


def serving_faults(request: SweepRequest, models: Sequence[Candidate], targets: Sequence[Target]) -> list[ProctorError]:
    """What of the request none of `targets` can do: device, quantization, memory. Of no targets nothing is known."""
    device, faults = choose_device(request.device, targets)
    serving = [target for target in targets if target.device is device]
    return [*faults, *quant_faults(request.quants, serving), *memory_faults(request.quants, models, serving)]


def choose_device(wish: str, targets: Sequence[Target]) -> tuple[Device, list[ProctorError]]:
    """The device class for `auto`, `cuda`, `cpu` or `net`; `auto` is the GPU where one serves."""
    if wish in (Device.NET, VLLM):
        asked = not targets or any(target.device is Device.NET for target in targets)
        fault = BadInput("--device net: no worker asks a server.", _NO_SERVER)
        if wish == VLLM:
            fault = BadInput("--engine vllm: no worker starts one.", "On a fleet start `proctor worker --vllm`.")
        return Device.NET, [] if asked else [fault]
    has_gpu = any(target.device is Device.GPU for target in targets)
    if wish == "cpu" or (wish == "auto" and not has_gpu):
        return Device.CPU, []
    if targets and not has_gpu:
        return Device.GPU, [BadInput("--device cuda: no GPU was found.", "Use --device cpu, or auto.")]
    return Device.GPU, []


def undecided(targets: Sequence[Target], begun: Device | None) -> list[ProctorError]:
    """The fault of `--device auto` in a fleet that shows no device, for a sweep that was not `begun` before.

    A Run keeps the device that it is submitted with, so the CPU for want of a worker would be the CPU for good.
    """
    if targets or begun is not None:
        return []
    return [
        BadInput(
            "--device auto: no worker of the fleet is alive, so nothing tells whether that is a GPU or the CPU.",
            "Say --device cuda or --device cpu, and the Runs wait for such a worker; or start one (`proctor worker`).",
        )
    ]


def exam_faults(request: SweepRequest, exams: Sequence[Exam]) -> list[ProctorError]:
    shots = request.conditions.shots
    faults: list[ProctorError] = []
    short = [exam for exam in exams if len(exam.dev) < shots and not exam.form]
    if short:
        fewest = min(len(exam.dev) for exam in short)
        names = ", ".join(exam.subject for exam in short[:5]) + (", …" if len(short) > 5 else "")
        faults.append(
            BadInput(
                f"--shots {shots}: {len(short)} of {len(exams)} subjects have fewer dev questions to show ({names}).",
                f"Use --shots {fewest}, or add a dev split.",
            )
        )
    empty = [exam.subject for exam in exams if not exam.questions]
    if empty:
        faults.append(BadInput(f"No questions in {', '.join(empty)}.", "Leave these subjects out with -s."))
    return [*faults, *blank_option_faults(request, exams)]


def blank_option_faults(request: SweepRequest, exams: Sequence[Exam]) -> list[ProctorError]:
    """Questions with an option that is empty or blank, where the options' own texts are to be scored.

    In a chat such an option would have no token at all, or only the white space that the template ends in, which
    every model expects there. By letters it is scored as any other.
    """
    if request.conditions.scoring is not Scoring.TEXT:
        return []
    blank = [
        f"question {question.index} of {exam.subject}, option {LETTERS[number]}"
        for exam in exams
        if not exam.form
        for question in exam.questions[: request.conditions.limit]
        for number, choice in enumerate(question.choices)
        if not choice.strip()
    ]
    if not blank:
        return []
    return [
        BadInput(
            f"--scoring text: options without any text to score: {len(blank)} ({'; '.join(blank[:5])}"
            f"{'; …' if len(blank) > 5 else ''}).",
            "Give them words, take the questions out, or use --scoring letters.",
        )
    ]


def quant_faults(quants: Sequence[Quant], serving: Sequence[Target]) -> list[ProctorError]:
    if not serving or any(target.quantizes or target.device is Device.NET for target in serving):
        return []
    return [
        BadInput(
            f"-q {quant}: {serving[0].name} has no bitsandbytes, which does the quantization.",
            "Use -q none, or install the extra 'worker' on Linux or Windows.",
        )
        for quant in quants
        if quant is not Quant.NONE
    ]


def memory_faults(
    quants: Sequence[Quant], models: Sequence[Candidate], serving: Sequence[Target]
) -> list[ProctorError]:
    if not serving:
        return []
    largest = max(serving, key=lambda target: target.memory_bytes)
    return [
        DoesNotFit(f"{model.ref.name} at {quant}", needs, largest.memory_bytes, largest.name)
        for model in models
        for quant in quants
        if (needs := model.memory_bytes[quant]) > largest.memory_bytes
    ]
