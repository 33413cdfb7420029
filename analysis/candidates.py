"""Finding the contestant that a person means, in sweeps and in imported results, and reading its Answers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from analysis.contestants import Contestant, labels
from analysis.findings import listed
from analysis.frames import results_of
from analysis.panel import Panel
from proctor.errors import BadInput, UnknownName
from proctor.nouns import Lane, Quant
from proctor.store.reads import RunProgress, progress, runs
from proctor.store.session import Store
from proctor.store.sweeps import find


@dataclass(frozen=True, eq=False)
class Candidate:
    """One contestant's Answers under one set of terms. `exams` maps subjects to content hashes where known."""

    label: str
    panel: Panel  # of this contestant alone
    source: str  # the sweep, or the imported results, that they stand in
    exams: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Roll:
    """Who answered anything in one sweep or in imported results, and how to read one of them."""

    name: str
    contestants: tuple[Contestant, ...]
    read: Callable[[int], Candidate]  # by place in `contestants`; reads no other's Answers

    def candidate(self, wanted: str) -> Candidate:
        """The contestant that a person means (see `match`).

        Raises
        ------
        UnknownName
            where nobody of that name has answered anything.
        BadInput
            where its Runs differ among themselves in type or terms, so that they are no one contestant.
        """
        return self.read(match(self.contestants, wanted))

    def only(self) -> Candidate:
        """The one contestant that there is. Raises `BadInput` where there are several."""
        if len(self.contestants) > 1:
            names = labels(self.contestants)
            raise BadInput(
                f"{self.name} has {len(names)} contestants: {listed(names, most=6)}.",
                f"Name two of them, and where they are: proctor compare {names[0]!r} {names[0]!r} "
                f"--sweep {self.name} --sweep ANOTHER",
            )
        return self.read(0)


def pick(wanted: str, roll: Callable[[str | None], Roll]) -> Candidate:
    """A contestant of the latest sweep, or else the only one of the sweep or imported results of that name.

    `roll` opens one by name, None is the latest sweep. Raises as `Roll.candidate` and `Roll.only` do.
    """
    try:
        return roll(None).candidate(wanted)
    except BadInput as unknown:
        try:
            other = roll(wanted)
        except UnknownName:
            raise unknown from None
        return other.only()


def roll_of_sweep(store: Store, name: str | None) -> Roll:
    """The roll of a sweep by name or number, of the latest for None. The store must stay open as long as it is used.

    Raises
    ------
    UnknownName
        where there is no such sweep.
    BadInput
        where nothing in it is answered yet.
    """
    sweep = find(store, name)
    answered: dict[Lane, list[RunProgress]] = {}
    for run in progress(store, sweep.id).runs:
        if run.answered:
            answered.setdefault(run.lane, []).append(run)
    if not answered:
        raise BadInput(f"No Run of sweep {sweep.name} has an answer yet.", "See how far they are with: proctor status")
    lanes = list(answered)
    contestants = tuple(_of_lane(lane) for lane in lanes)

    def read(place: int) -> Candidate:
        label = labels(contestants)[place]
        ids = [run.run_id for run in answered[lanes[place]]]
        results = results_of(store, runs(store, [sweep.id], ids))
        panel, *others = results.panels
        if others or len(panel.contestants) > 1:
            kinds = [f"{who.dtype} at {one.terms}" for one in results.panels for who in one.contestants]
            raise BadInput(f"{label} ran in several ways: {listed(kinds)}.", "Name one sweep with --sweep.")
        exams = {record.spec.subject: record.spec.exam_hash for record in results.records}
        return Candidate(label, panel, sweep.name, exams)

    return Roll(sweep.name, contestants, read)


def roll_of_panel(panel: Panel, name: str) -> Roll:
    """The roll of imported results."""
    return Roll(name, panel.contestants, lambda place: Candidate(panel.labels[place], panel.of([place]), name))


def match(contestants: Sequence[Contestant], wanted: str) -> int:
    """The place of the contestant that a person means.

    By its label, its model's name, `MODEL:QUANT`, or the quantization alone where there is one model. A model's name
    means its least quantized contestant. Upper and lower case don't count.

    Raises
    ------
    UnknownName
        with the nearest names.
    """
    aliases: dict[str, int] = {}
    order = sorted(range(len(contestants)), key=lambda place: contestants[place].quant != Quant.NONE.value)
    names = labels(contestants)
    single = len({contestant.model for contestant in contestants}) == 1
    for place in order:
        one = contestants[place]
        short = one.model.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
        own = [names[place], f"{one.model}:{one.quant}", f"{short}:{one.quant}", one.model, short]
        for alias in (*own, *([one.quant] if single else [])):
            aliases.setdefault(alias.casefold(), place)
    if wanted.casefold() not in aliases:
        near = get_close_matches(wanted.casefold(), aliases, n=3, cutoff=0.5)
        offered = list(dict.fromkeys(names[aliases[alias]] for alias in near))
        raise UnknownName("contestant", wanted, offered, f"There are: {listed(names, most=12)}.")
    return aliases[wanted.casefold()]


def distinct(first: Candidate, second: Candidate) -> tuple[Candidate, Candidate]:
    """The two, told apart where they are called the same: by where they stand, else by their order."""
    if first.label != second.label:
        return first, second
    behind = (first.source, second.source) if first.source != second.source else ("first", "second")
    return (
        replace(first, label=f"{first.label} ({behind[0]})"),
        replace(second, label=f"{second.label} ({behind[1]})"),
    )


def _of_lane(lane: Lane) -> Contestant:
    name, _, revision = lane.model.rpartition("@")
    return Contestant(name or revision, revision if name else "", lane.quant.value, lane.device.value)
