"""Everything that Proctor raises on purpose: one tree, the facts as fields, the next step in words.

A caller that can act on a failure catches its class; the command line prints `problem` and `next_step`
and leaves with `exit_code`. Anything outside this tree is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class ProctorError(Exception):
    """What was wrong, with the value and the cause in `problem`, and what to do in `next_step`."""

    exit_code = 1

    def __init__(self, problem: str, next_step: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem} {self.next_step}".rstrip()


class BadInput(ProctorError):
    """Something that a person typed, or a file of theirs, can't be used as it is."""

    exit_code = 2


class SeveralFaults(BadInput):
    """All faults of one request at once, so that a person mends them in one go."""

    def __init__(self, faults: Sequence[ProctorError]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UnknownName(BadInput):
    """A name that isn't among those known; the nearest ones are offered."""

    def __init__(self, kind: str, name: str, nearest: Sequence[str], next_step: str = "") -> None:
        self.kind, self.name, self.nearest = kind, name, tuple(nearest)
        offer = f"Did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"Unknown {kind} {name!r}.", f"{offer} {next_step}".strip())


class AmbiguousName(BadInput):
    """A name that may mean several; all of them are offered."""

    def __init__(self, kind: str, name: str, candidates: Sequence[str]) -> None:
        self.kind, self.name, self.candidates = kind, name, tuple(candidates)
        super().__init__(
            f"{kind.capitalize()} {name!r} may be {', '.join(candidates[:-1])} or {candidates[-1]}.",
            "Name one of these, in these words.",
        )


class BadExam(BadInput):
    """A benchmark's file or folder that can't be read as questions."""


class BadRow(BadExam):
    """One row of a benchmark's file that is no question, with the place: file, row, column."""

    def __init__(self, file: str, row: str, column: str, cause: str, next_step: str = "") -> None:
        self.file, self.row, self.column, self.cause = file, row, column, cause
        place = ", ".join(part for part in (file, row, column and f"column {column}") if part)
        super().__init__(f"{place}: {cause}.", next_step)


class QuestionTooLong(BadExam):
    """A question that doesn't fit into the model's window, even without shots; it is never cut."""

    def __init__(self, benchmark: str, subject: str, index: int, tokens: int, window_tokens: int) -> None:
        self.benchmark, self.subject, self.index = benchmark, subject, index
        self.tokens, self.window_tokens = tokens, window_tokens
        super().__init__(
            f"Question {index} of {subject} ({benchmark}) has {tokens} tokens without any shots; "
            f"the model reads {window_tokens}.",
            "Take a model with a longer context, or leave the subject out.",
        )


class NoIsolation(BadInput):
    """This machine can't run what a model wrote where it reaches nothing."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"Programs can't be run in isolation on this machine: {reason}.",
            "Submit and judge them on a Linux machine (5.12 or newer) where users may make namespaces.",
        )


class BadModel(ProctorError):
    """A model that can't be loaded: not found, gated, damaged, or of a kind that isn't supported."""

    exit_code = 2
    cannot = "be loaded"

    def __init__(self, model: str, cause: str, next_step: str = "") -> None:
        self.model, self.cause = model, cause
        super().__init__(f"Model {model!r} can't {self.cannot}: {cause}.", next_step)


class CantBeAsked(BadModel):
    """A model that is loaded and can't be asked this: its chat template or its tokenizer won't have it."""

    cannot = "be asked this"


class NotServed(BadModel):
    """A model that isn't for whoever asks in chat; it says nothing of whether there is one of this name."""

    cannot = "be asked for here"

    def __init__(self, model: str) -> None:
        super().__init__(model, "it is none of those that are served", "The list of models names those that are.")


class NotHere(BadModel):
    """A model that this worker can't load although another one may: its memory, libraries or files are others."""


class DoesNotFit(NotHere):
    """A model that needs more memory than the device has; `because` of what it needs so much, where that is odd."""

    def __init__(self, model: str, needs_bytes: int, has_bytes: int, device: str, because: str = "") -> None:
        self.needs_bytes, self.has_bytes, self.device = needs_bytes, has_bytes, device
        needs = f"it needs about {needs_bytes / 1e9:.1f} GB" + (f" ({because})" if because else "")
        super().__init__(
            model,
            f"{needs} and {device} has {has_bytes / 1e9:.1f} GB",
            "Take a smaller model, or a quantization: -q 4bit needs about a quarter.",
        )


class OutOfMemory(ProctorError):
    """A pack that needed more memory than the device had left. The model is still loaded."""

    def __init__(self, model: str, device: str) -> None:
        self.model, self.device = model, device
        super().__init__(
            f"Model {model!r} ran out of memory on {device} while scoring.",
            "Make packs smaller, or take a quantization.",
        )


class DeviceBroken(ProctorError):
    """The device failed in a way that may have broken it for this process: whoever uses it must begin anew."""

    def __init__(self, device: str, why: str) -> None:
        self.device = device
        super().__init__(f"{device} failed: {why}", "Its process begins anew; see nvidia-smi if it happens again.")


class OtherWay(ProctorError):
    """A Run whose earlier packs were computed in a way that this worker can't compute in; another one may."""


class BadScores(ProctorError):
    """A model gave numbers that aren't log-probabilities (NaN, or all options impossible)."""


class LeaseLost(ProctorError):
    """A worker's attempt at a Run is over: another holds it, or it was cancelled. Nothing was written."""

    def __init__(self, run_id: int, attempt: int) -> None:
        self.run_id, self.attempt = run_id, attempt
        super().__init__(f"Attempt {attempt} no longer holds run {run_id}.")


class Away(ProctorError):
    """Something outside of us can't be used now and may be back by itself: it is waited for, for so long."""


class HubUnavailable(Away):
    """The hub of models can't be reached."""


class DiskFull(Away):
    """A file of ours can't be written for lack of space."""


class StoreUnavailable(Away):
    """The database can't be reached or written to."""


class BrokerUnavailable(ProctorError):
    """The broker can't be reached, or the embedded one can't be started."""


class WorkersUnavailable(ProctorError):
    """No worker can be started, or every one of them died too often to be started again."""


class TemplateOverran(Exception):
    """A chat template that takes more time or memory than any needs; the text says which."""


def first_line(error: BaseException) -> str:
    """What a library's error says first, without a full stop; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
