"""Our Answers against the samples of lm-evaluation-harness, prompt by prompt.

What is compared is known by the hash of the prompt: where one letter of it differs, the two never meet, and the sample
is reported as one that we didn't put, with the question asked in other words where it was.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.data.groups import contestant_of, labels_of
from analysis.data.panel_rows import Row
from analysis.data.phrases import listed
from analysis.exchange.lm_eval_samples import Sample
from proctor.contestants import Contestant, labels, match
from proctor.errors import BadInput, UnknownName
from proctor.nouns.runs import RunStatus
from proctor.store.database.session import Store
from proctor.store.reads.columns import latest_sweep_with
from proctor.store.reads.export import ExportRow, export_rows
from proctor.store.reads.records import RunRecord, runs
from proctor.store.runs.sweeps import find


@dataclass(frozen=True)
class Pair:
    """One prompt that both put to a model."""

    ours: ExportRow
    theirs: Row

    @property
    def differences(self) -> tuple[float, ...]:
        """How far the options' log-probabilities lie apart, nats; infinite where only one is impossible."""
        scores = self.theirs.options_logprob or ()
        if len(scores) != len(self.ours.options_logprob):
            return (math.inf,)
        return tuple(0.0 if a == b else abs(a - b) for a, b in zip(self.ours.options_logprob, scores, strict=True))

    @property
    def largest(self) -> float:
        return max(self.differences)

    @property
    def same_pick(self) -> bool:
        """Whether both picked the same option, or both none, for a tie."""
        return self.ours.picked == self.theirs.picked


@dataclass(frozen=True)
class Verification:
    """What came of it. It passes where all their prompts were found, picked alike and scored within the tolerance.

    What our Runs weren't to ask (another subject, beyond the limit, or scored by text where ours are by letters) is
    counted and held against nobody.
    """

    sweep: str
    contestant: str
    tolerance: float  # nats
    pairs: tuple[Pair, ...]
    missing: tuple[Row, ...]  # prompts of theirs that we should have put, and didn't
    reworded: frozenset[str]  # ids of questions among the missing that we did ask, in another prompt
    unasked: int  # samples of subjects that our Runs aren't on, beyond their --limit, or scored in another way
    extra: int  # prompts of ours that aren't among theirs

    @property
    def differing(self) -> tuple[Pair, ...]:
        """The pairs that are no match, the furthest apart first."""
        found = [pair for pair in self.pairs if pair.largest > self.tolerance or not pair.same_pick]
        return tuple(sorted(found, key=lambda pair: -pair.largest))

    @property
    def other_picks(self) -> int:
        return sum(not pair.same_pick for pair in self.pairs)

    @property
    def largest(self) -> float:
        """Largest difference of a log-probability, nats; 0 without any pair."""
        return largest(self.pairs)

    @property
    def mean(self) -> float:
        """Mean difference over all options of all pairs, nats; 0 without any pair."""
        return mean(self.pairs)

    @property
    def passed(self) -> bool:
        return bool(self.pairs) and not self.missing and not self.differing


@dataclass(frozen=True)
class Selection:
    """Which of our finished Runs a person means; empty: all that there are."""

    sweep: str | None = None  # name or number; None: the latest that put one of the prompts
    contestant: str | None = None
    subjects: tuple[str, ...] = ()
    folder: Path = Path("/")  # in which the person is: paths of contestants begin there


def verify(store: Store, samples: Sequence[Sample], selection: Selection, tolerance: float) -> Verification:
    """Hold the Answers of finished Runs against these samples.

    Raises
    ------
    UnknownName
        for a sweep, contestant or subject that isn't there.
    BadInput
        where samples of several models are given, samples have no prompt, no finished Run put one of their prompts,
        or several contestants did and none is named.
    """
    theirs = _of_one_model(samples, selection.subjects)
    records = runs(store, [_sweep(store, selection.sweep, theirs)])
    names = labels_of(records)
    chosen = one_contestant(records, names, selection)
    ours = list(export_rows(store, [chosen[0].sweep_id], [run.run_id for run in chosen]))
    by_hash = {row.prompt_hash: row for row in ours}
    unmet = [sample for sample in theirs if sample.row.prompt_hash not in by_hash]
    asked = {row.question_id for row in ours}
    missing = tuple(sample.row for sample in unmet if _was_to_be_asked(sample, chosen, asked))
    return Verification(
        sweep=chosen[0].sweep_name,
        contestant=names[contestant_of(chosen[0])],
        tolerance=tolerance,
        pairs=tuple(
            Pair(by_hash[sample.row.prompt_hash], sample.row) for sample in theirs if sample.row.prompt_hash in by_hash
        ),
        missing=missing,
        reworded=frozenset(row.question_id for row in missing if row.question_id in asked),
        unasked=len(unmet) - len(missing),
        extra=len(by_hash.keys() - {sample.row.prompt_hash for sample in theirs}),
    )


def largest(pairs: Sequence[Pair]) -> float:
    """Largest difference of a log-probability among these pairs, nats; 0 without any."""
    return max((pair.largest for pair in pairs), default=0.0)


def mean(pairs: Sequence[Pair]) -> float:
    """Mean difference over all options of these pairs, nats; 0 without any."""
    each = [difference for pair in pairs for difference in pair.differences]
    return math.fsum(each) / len(each) if each else 0.0


def by_subject(found: Verification) -> dict[str, tuple[list[Pair], int]]:
    """The pairs of each subject, and how many of its prompts are missing, in the order of the samples."""
    pairs: dict[str, list[Pair]] = defaultdict(list)
    missing: dict[str, int] = defaultdict(int)
    for pair in found.pairs:
        pairs[pair.ours.subject].append(pair)
    for row in found.missing:
        missing[row.subject] += 1
    return {subject: (pairs[subject], missing[subject]) for subject in dict.fromkeys([*pairs, *missing])}


def _was_to_be_asked(sample: Sample, chosen: Sequence[RunRecord], asked: Container[str]) -> bool:
    """Whether these Runs should have put the question of this sample, scored as it was there."""
    for run in chosen:
        said = run.spec.conditions
        if run.spec.subject == sample.row.subject:
            return sample.scoring in (None, said.scoring) and (said.limit is None or sample.row.question_id in asked)
    return False


def _of_one_model(samples: Sequence[Sample], subjects: Sequence[str]) -> list[Sample]:
    models = labels(list(dict.fromkeys(sample.row.contestant for sample in samples)))
    if len(models) > 1:
        raise BadInput(f"These are samples of several models: {listed(models)}.", "Name the folder of one of them.")
    known = sorted({sample.row.subject for sample in samples})
    for subject in subjects:
        if subject not in known:
            raise UnknownName("subject of the samples", subject, [], f"There are: {listed(known, most=12)}.")
    wanted = [sample for sample in samples if not subjects or sample.row.subject in subjects]
    unknown = sum(not sample.row.prompt_hash for sample in wanted)
    if unknown:
        raise BadInput(
            f"{unknown} of {len(wanted)} samples have neither prompt_hash nor arguments: nothing says what was asked.",
            "Take files that lm-evaluation-harness wrote with --log_samples.",
        )
    return wanted


def _sweep(store: Store, wanted: str | None, theirs: Sequence[Sample]) -> int:
    if wanted is not None:
        return find(store, wanted).id
    latest = latest_sweep_with(store, {sample.row.prompt_hash for sample in theirs})
    if latest is None:
        raise BadInput(
            f"No finished Run put any of the {len(theirs):,} prompts of these samples to a model.",
            "Ask the same questions with the same --shots and --scoring, or name a SWEEP to see what differs.",
        )
    return latest


def one_contestant(
    records: Sequence[RunRecord], names: Mapping[Contestant, str], selection: Selection
) -> list[RunRecord]:
    """The finished Runs that are meant: of one contestant, on the subjects asked for."""
    done = [run for run in records if run.status is RunStatus.DONE]
    if not done:
        raise BadInput("No Run of this sweep is done.", "See how far they are with: proctor status")
    who = list(dict.fromkeys(map(contestant_of, done)))
    called = [names[one] for one in who]
    if selection.contestant is None and len(who) > 1:
        raise BadInput(
            f"Sweep {done[0].sweep_name} has several contestants: {listed(called, most=6)}.",
            "Name one with --contestant.",
        )
    one = who[0] if selection.contestant is None else who[match(who, called, selection.contestant, selection.folder)]
    wanted = selection.subjects
    chosen = [run for run in done if contestant_of(run) == one and (not wanted or run.spec.subject in wanted)]
    if not chosen:
        raise BadInput(f"No done Run of sweep {done[0].sweep_name} is on {listed(wanted)}.", "See: proctor status")
    return chosen
