"""Finding the contestant that a person means, in sweeps and in imported results, and reading its Answers alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.data.groups import assessed_of, contestant_of, contestants_of, labels_of
from analysis.data.panel import Panel
from analysis.data.phrases import listed
from analysis.data.results import results_of, tells_of_points
from proctor.contestants import Contestant, labels, match
from proctor.errors import AmbiguousName, BadInput, UnknownName
from proctor.nouns.exams import Scoring
from proctor.store.database.session import Store
from proctor.store.reads.records import RunRecord, runs
from proctor.store.runs.sweeps import find


@dataclass(frozen=True, eq=False)
class Candidate:
    """One contestant's Answers under one set of terms."""

    label: str
    panel: Panel  # of this contestant alone
    source: str  # the sweep, or the imported results, that they stand in
    sweep_id: int | None = None  # several sweeps may have one name; None: imported


@dataclass(frozen=True)
class Roll:
    """Who answered anything in one sweep or in imported results, and how to read one of them."""

    name: str
    contestants: tuple[Contestant, ...]
    labels: tuple[str, ...]
    read: Callable[[int], Candidate]  # by place in `contestants`; reads no other's Answers

    def candidate(self, wanted: str, folder: Path) -> Candidate:
        """The contestant that a person in `folder` means (see `proctor.contestants.match`).

        Raises
        ------
        UnknownName
            where nobody of that name has answered anything.
        AmbiguousName
            where several may be meant.
        BadInput
            where its Runs differ among themselves in type or terms, so that they are no one contestant.
        """
        return self.read(match(self.contestants, self.labels, wanted, folder))

    def only(self) -> Candidate:
        """The one contestant that there is. Raises `BadInput` where there are several."""
        if len(self.contestants) > 1:
            names = self.labels
            raise BadInput(
                f"{self.name} has {len(names)} contestants: {listed(names, most=6)}.",
                f"Name two of them, and where they are: proctor compare {names[0]!r} {names[0]!r} "
                f"--sweep {self.name} --sweep ANOTHER",
            )
        return self.read(0)


def pick(wanted: str, folder: Path, roll: Callable[[str | None], Roll]) -> Candidate:
    """A contestant of the latest sweep, or else the only one of the sweep or imported results of that name.

    `roll` opens one by name, None is the latest sweep. Raises as `Roll.candidate` and `Roll.only` do.
    """
    try:
        return roll(None).candidate(wanted, folder)
    except AmbiguousName:
        raise
    except BadInput as unknown:
        try:
            other = roll(wanted)
        except UnknownName:
            raise unknown from None
        return other.only()


def roll_of_sweep(
    store: Store, name: str | None, benchmark: str | None = None, judge: str = "", folder: Path = Path()
) -> Roll:
    """The roll of a sweep by name or number, of the latest for None. The store must stay open as long as it is used.

    With `benchmark`, of its Runs on that one alone; with `judge`, by the verdicts of that model, named by a person in
    `folder`. Else answers are worth what their exam says, and by a judge what a judge alone can tell.

    Raises
    ------
    UnknownName
        where there is no such sweep, or no Run of it on that benchmark, or no such judge.
    BadInput
        where nothing in it is answered yet, or judged.
    """
    sweep = find(store, name)
    everything = runs(store, [sweep.id])
    known = list(dict.fromkeys(run.spec.benchmark for run in everything))
    if benchmark is not None and benchmark not in known:
        raise UnknownName(f"benchmark in sweep {sweep.name}", benchmark, [], f"There are {listed(known, most=12)}.")
    who, names = contestants_of(everything), labels_of(everything)
    worth = [run for run in everything if run.answered and tells_of_points(run)]
    answered: dict[Contestant, list[RunRecord]] = {}
    for run in _by_judge(worth, names, judge, folder) if judge else _by_exam(worth):
        if benchmark in (None, run.spec.benchmark):
            answered.setdefault(assessed_of(run) if run.judged else who[run.run_id], []).append(run)
    if not answered:
        if any(run.answered and len(run.judged) > 1 for run in everything):
            raise BadInput(
                f"The answers of sweep {sweep.name} were compared in pairs, and none has points of its own.",
                f"`proctor report {sweep.name}` says who is preferred.",
            )
        if any(run.spec.conditions.scoring is Scoring.OPEN for run in everything):
            raise BadInput(
                f"The answers of sweep {sweep.name} are unjudged yet.", f"Have them judged: proctor judge {sweep.name}"
            )
        raise BadInput(f"No Run of sweep {sweep.name} has an answer yet.", "See how far they are with: proctor status")
    contestants = tuple(answered)
    called = tuple(names[contestant] for contestant in contestants)

    def read(place: int) -> Candidate:
        results = results_of(store, answered[contestants[place]], among=everything)
        panel, *others = results.panels
        if others:
            kinds = [str(one.terms) for one in results.panels]
            on = list(dict.fromkeys(one.terms.benchmark for one in results.panels))
            if len(on) > 1:
                raise BadInput(f"{called[place]} sat {listed(on, most=8)}.", "Name one of them with --benchmark.")
            judged = sum(one.terms.judge is not None for one in results.panels) > 1
            step = "Name the judge with --judged-by." if judged else "Submit them as two sweeps."
            raise BadInput(f"{called[place]} ran under several terms: {listed(kinds)}.", step)
        return Candidate(called[place], panel, sweep.name, sweep.id)

    return Roll(sweep.name, contestants, called, read)


def _by_exam(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """The Runs that models sat themselves, and of exams that have none the judges'."""
    own = [run for run in runs if not run.judged]
    told = {run.spec.exam_hash for run in own}
    return [*own, *(run for run in runs if run.judged and run.spec.exam_hash not in told)]


def _by_judge(runs: Sequence[RunRecord], names: Mapping[Contestant, str], wanted: str, folder: Path) -> list[RunRecord]:
    """The Runs of the judge that a person means. Raises `UnknownName`, and `AmbiguousName` where it may be several."""
    judges = list(dict.fromkeys(contestant_of(run) for run in runs if run.judged))
    if not judges:
        raise UnknownName("judge", wanted, [], "No judge rated these answers: proctor judge.")
    chosen = judges[match(judges, [names[judge] for judge in judges], wanted, folder)]
    return [run for run in runs if run.judged and contestant_of(run) == chosen]


def roll_of_panels(panels: Sequence[Panel], name: str) -> Roll:
    """The roll of imported results."""
    contestants = tuple(dict.fromkeys(one for panel in panels for one in panel.contestants))
    called = labels(contestants)

    def read(place: int) -> Candidate:
        label, who = called[place], contestants[place]
        panel, *others = [panel.of([panel.contestants.index(who)]) for panel in panels if who in panel.contestants]
        if others:
            kinds = list(dict.fromkeys(str(one.terms) for one in (panel, *others)))
            raise BadInput(
                f"{label} answered in {len(others) + 1} sets of {name} that don't mix: {listed(kinds)}.",
                "Import their files apart, each under a --name of its own.",
            )
        return Candidate(label, panel, name)

    return Roll(name, contestants, called, read)


def distinct(first: Candidate, second: Candidate) -> tuple[Candidate, Candidate]:
    """The two, told apart where they are called the same: as contestants, by where they stand, else by their order."""
    if first.label != second.label:
        return first, second
    mine, theirs = labels([*first.panel.contestants[:1], *second.panel.contestants[:1]])
    if first.panel.contestants[0].model != second.panel.contestants[0].model:
        return replace(first, label=mine), replace(second, label=theirs)
    behind = (first.source, second.source) if first.source != second.source else ("first", "second")
    return (
        replace(first, label=f"{first.label} ({behind[0]})"),
        replace(second, label=f"{second.label} ({behind[1]})"),
    )
