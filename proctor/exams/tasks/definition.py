"""What a task is: which rows it asks, how they are put, and how replies are judged; plain data, and pieces of ours.

The split is HELM's (scenario, adapter, metric). A field that is a string is a column's name, or else a template of
Jinja; an int or a list stands for itself; a function of ours is given the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proctor.exams.tasks.form import NO_FILTER, Chain, Headline, Kind, Metric

Row = Mapping[str, object]
Column = Callable[[Row], object]  # a piece of ours: what a field says of a row
Prepare = Callable[[Sequence[Row]], Sequence[Row]]  # a piece of ours: rows with other columns, or fewer rows
Field = str | int | Sequence[object] | Mapping[str, object] | Column | None
SEED = 1234  # of the draw of shots, unless somebody says another


@dataclass(frozen=True)
class Rows:
    """Which rows are asked, and which may be shown as examples. Splits that a task doesn't have are ""."""

    data: str  # on the hub
    config: str = ""
    revision: str = ""
    training: str = ""
    validation: str = ""
    test: str = ""
    pool: str = ""  # the split that shots are drawn from, where the task names it
    samples: tuple[Row, ...] | None = None  # or the examples themselves
    arguments: Mapping[str, object] = field(default_factory=dict)  # further ones of `datasets.load_dataset`
    prepare: Prepare | None = None
    prepare_pool: Prepare | None = None  # of a named pool; None: as the others
    licence: str = ""

    @property
    def asked(self) -> str:
        """The split whose rows are asked: test, else validation."""
        return self.test or self.validation

    @property
    def shown(self) -> str:
        """The split that shots are drawn from, where there are no samples."""
        return self.pool or self.training or self.validation or self.test

    @property
    def may_meet_itself(self) -> bool:
        """Whether a row is taken out of its own shots: lm-evaluation-harness does so where it finds one split named.

        It compares the pool's name with that of the test split, and two that aren't named are equal.
        """
        return self.pool == self.test


@dataclass(frozen=True)
class Shown:
    """How an example is put, where it differs from the question; None: as the question."""

    text: Field = None
    target: Field = None
    choices: Field = None
    opening: Field = None
    target_delimiter: str | None = None
    fewshot_delimiter: str | None = None


@dataclass(frozen=True)
class Asking:
    """How a row is put to a model; names in brackets are those of lm-evaluation-harness."""

    text: Field  # (doc_to_text)
    target: Field  # (doc_to_target)
    choices: Field = None  # (doc_to_choice)
    opening: Field = None  # begins the answer (gen_prefix)
    description: str = ""
    target_delimiter: str = " "
    fewshot_delimiter: str = "\n\n"
    shown: Shown = Shown()  # (fewshot_config)
    first_shots: bool = False  # the first ones of the pool, for all (sampler first_n); else drawn
    shots: int | None = None  # examples unless somebody says another number; 0 can't be overridden (num_fewshot)
    generation: Mapping[str, object] | None = None  # (generation_kwargs)
    turns: Column | None = None  # a list of what is said after the text, a message a turn; None: nothing
    chat: bool = False  # always put as a chat


@dataclass(frozen=True)
class Judging:
    """How replies are judged."""

    metrics: tuple[Metric, ...]
    chains: tuple[Chain, ...] = (NO_FILTER,)
    repeats: int = 1
    headline: Headline | None = None  # None: the first metric on the first chain
    reference: Column | None = None  # a mapping of what the metrics need of a row; None: the target
    right: Column | None = None  # places of all right choices; None: the target


@dataclass(frozen=True)
class Task:
    """One task, by its name."""

    name: str
    kind: Kind
    rows: Rows
    asking: Asking
    judging: Judging
    version: str = ""  # as its file says
    release: str = ""  # that it is compared with
    sha256: str = ""  # of its file with all that it includes; "": built in
    runs_code: bool = False  # judging runs what a model wrote

    def shots(self, wanted: int | None) -> int:
        """Examples before a question where `wanted` are asked for: the task's own number, and none where that is 0."""
        own = self.asking.shots
        if own == 0 or wanted is None:
            return own or 0
        return wanted


@dataclass(frozen=True)
class Group:
    """Tasks under one name."""

    name: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Settings:
    """What a person may choose of how a benchmark's exams are written out."""

    shots: int | None = None  # None: each task's own number
    seed: int = SEED
    folder: Path | None = None  # where rows lie, in files named by split; None: on the hub
    tasks: Path | None = None  # where task files lie; None: those of an installed lm_eval
    judge: str = ""  # how answers to a file of one's own are judged that are written; "": it has choices
