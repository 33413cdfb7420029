"""Under which terms questions were put and judged: what must agree for Runs to be compared."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from proctor.contestants import Contestant, labels
from proctor.nouns.exams import Scoring

UNKNOWN = "unknown"  # prompt version of imported results, and their scoring where nothing says it
SAID_OF_SCORING = {
    Scoring.TEXT: "scored by text",
    Scoring.ONE_TEXT: "one text scored",
    Scoring.PAGES: "pages scored",
    Scoring.WRITTEN: "answers written",
    Scoring.OPEN: "answers written",
}


class Condition(StrEnum):
    """How questions were put: what a comparison may be across, where that is asked for by name."""

    SHOTS = "shots"
    TEMPLATE = "template"
    SCORING = "scoring"
    PROMPTS = "prompts"


@dataclass(frozen=True)
class Terms:
    """What must agree for Runs to be compared, besides the content of each subject's exam.

    Imported results say only some of it: None or `UNKNOWN` stands for the rest, and their prompt version is `UNKNOWN`.
    """

    benchmark: str
    prompt_version: str
    shots: int | None
    chat_template: bool | None
    scoring: str = Scoring.LETTERS.value
    judged_by: str = ""  # filter chain of written answers; "": the one of the exam's form
    judge: Contestant | None = None  # the model that judged written answers; None: none did
    judge_prompts: str = ""  # version of the words in which it was asked

    @property
    def imported(self) -> bool:
        """Whether somebody else put the questions."""
        return self.prompt_version == UNKNOWN

    @property
    def unknown(self) -> tuple[str, ...]:
        """What isn't known of how the questions were put, in words."""
        parts = (
            ("shots", self.shots is None),
            ("chat template", self.chat_template is None),
            ("scoring", self.scoring == UNKNOWN),
        )
        return tuple(name for name, missing in parts if missing)

    def __str__(self) -> str:
        known = [] if self.shots is None else [self.said(Condition.SHOTS)]
        if self.chat_template is not None:
            known.append("chat template" if self.chat_template else "no chat template")
        if not self.imported:
            known.append(f"prompt {self.prompt_version}")
        if self.scoring in SAID_OF_SCORING:
            known.append(SAID_OF_SCORING[Scoring(self.scoring)])
        if self.judged_by:
            known.append(f"judged by the filter {self.judged_by}")
        if self.judge is not None:
            known.append(f"judged by {self.judge_name} ({self.judge_prompts})")
        where = f"{self.benchmark}, imported" if self.imported else self.benchmark
        unknown = [f"not known: {', '.join(self.unknown)}"] if self.unknown else []
        return ", ".join([where, *known, *unknown])

    @property
    def judge_name(self) -> str:
        """The judge's label; "" where there is none."""
        return "" if self.judge is None else labels([self.judge])[0]

    def differences(self, other: Terms, across: Collection[Condition] = ()) -> list[str]:
        """What is known to set the two apart, each in words, but for the conditions in `across`.

        Imported results are of no benchmark of ours.
        """
        found = []
        if not self.imported and not other.imported and self.benchmark != other.benchmark:
            found.append(f"benchmark {self.benchmark} against {other.benchmark}")
        if self.judged_by != other.judged_by:
            mine, theirs = (one.judged_by or "that of the exam" for one in (self, other))
            found.append(f"judged by the filter {mine} against {theirs}")
        if (self.judge, self.judge_prompts) != (other.judge, other.judge_prompts):
            mine, theirs = (one.judge_name or "no model" for one in (self, other))
            found.append(f"judged by {mine} against {theirs}")
        names = {
            Condition.PROMPTS: "prompt version",
            Condition.SHOTS: "shots",
            Condition.TEMPLATE: "chat template",
            Condition.SCORING: "scoring by",
        }
        apart = self.apart(other)
        return found + [
            f"{name} {apart[one][0]} against {apart[one][1]}"
            for one, name in names.items()
            if one in apart and one not in across
        ]

    def apart(self, other: Terms) -> dict[Condition, tuple[object, object]]:
        """The conditions that are known to differ, each as it is here and there."""
        mine, theirs = self._conditions, other._conditions
        return {
            one: (mine[one], theirs[one])
            for one in Condition
            if mine[one] != theirs[one] and not {mine[one], theirs[one]} & {None, UNKNOWN}
        }

    def knows(self, condition: Condition) -> bool:
        """Whether it is known how this was here."""
        return self._conditions[condition] not in (None, UNKNOWN)

    def said(self, condition: Condition) -> str:
        """A condition as it is here, for a label: `5 shots`, `no chat template`, `by text`, `prompt mmlu-1.0`."""
        words = {
            Condition.SHOTS: "1 shot" if self.shots == 1 else f"{self.shots} shots",
            Condition.TEMPLATE: "chat template" if self.chat_template else "no chat template",
            Condition.SCORING: f"by {self.scoring}",
            Condition.PROMPTS: f"prompt {self.prompt_version}",
        }
        return words[condition]

    @property
    def _conditions(self) -> dict[Condition, object]:
        return {
            Condition.SHOTS: self.shots,
            Condition.TEMPLATE: self.chat_template,
            Condition.SCORING: self.scoring,
            Condition.PROMPTS: self.prompt_version,
        }
