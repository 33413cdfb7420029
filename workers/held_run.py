"""A Run in a worker's hands: its lease, what it costs, and its one way to the database."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from proctor.exams.judging.patterns import PatternTooSlow
from proctor.nouns.exams import Pack
from proctor.nouns.runs import Claim
from workers.context import WorkerContext
from workers.engines.base import INEXACT, Engine, Skill
from workers.engines.scoring import Prepared
from workers.run.choosing import OptionScorer
from workers.run.costs import AttemptCosts
from workers.run.lease import Lease
from workers.run.mixture import check_same_prompts, check_same_way, continued_by
from workers.run.noise import check_noise
from workers.run.paper import Paper, write_paper
from workers.run.replies import PackReplies
from workers.run.splitting import SplittingAnswerer, with_cut
from workers.run.writing import Writer, prepare_writing

BREATH_S = 1.0  # of a pack of written answers, before conversations get their share


class BrokenOff(Exception):
    """A pack of written answers was left in its middle: the Run is to be handed back."""


@contextmanager
def hold(worker: WorkerContext, claim: Claim) -> Iterator[HeldRun]:
    """Renew a Run's lease and measure what it costs, within the block. The memory of other models goes first."""
    spec = claim.spec
    with Lease(worker.store, claim, worker.retry, worker.liveness) as lease, ExitStack() as measured:
        worker.models.make_room(spec.model, spec.quant, claim.dtype)
        costs = measured.enter_context(AttemptCosts(worker.device))
        yield HeldRun(worker, claim, lease, costs, measured.close)


@dataclass
class HeldRun:
    """What happens to one claimed Run, step by step. What goes wrong raises, and is filed by who claimed it.

    Attributes
    ----------
    recorded
        Indexes of the packs whose Answers are recorded, by whichever attempt; from `begin` on.
    """

    worker: WorkerContext
    claim: Claim
    lease: Lease
    costs: AttemptCosts
    stop_measuring: Callable[[], None]
    recorded: set[int] = field(default_factory=set)
    _breathed: float = -math.inf

    def load(self) -> Engine:
        """Load the claim's model, at no cost where it is held already. A hub or a disk that is away is waited for.

        Errors as of `Models.get`.
        """
        models, spec = self.worker.models, self.claim.spec
        before = models.held
        get = partial(models.get, spec.model, spec.quant, self.claim.dtype, spec.conditions.pack_tokens)
        engine = self.worker.retry(get)
        if engine is not before:
            self.costs.loaded(engine.load_cost)
            self.worker.channel.hold(self.worker.held)
        return engine

    def write_paper(self, engine: Engine) -> Paper:
        """The Run's prompts for this model. Errors as of `workers.run.paper.write_paper`."""
        exam, claim = self.lease.load_exam(), self.claim
        return write_paper(exam, claim.spec.conditions, engine, claim.template_date, claim.asked)

    def prepare(self, engine: Engine, paper: Paper) -> Prepared:
        """Tokenize the prompts, and compute once what all begin with where options are scored behind them.

        Errors as of `Engine.prepare` and `prepare_writing`.
        """
        writes = paper.skill is Skill.STREAM
        prepared = prepare_writing(engine, paper, self.worker.device) if writes else engine.prepare(paper.prompts)
        self.costs.prepared(prepared)
        return prepared

    def begin(self, engine: Engine, paper: Paper) -> SplittingAnswerer:
        """Say what this attempt computes with, and see what is recorded. Packs are then cut as the Run's record says.

        Raises
        ------
        OtherWay
            where earlier packs were computed in another way than this worker's.
        BadInput
            where they were asked in other words.
        """
        made = paper.recorded_in(engine.provenance)
        if Skill.EXACT not in engine.skills:
            made = replace(made, notes=(*made.notes, INEXACT))
        mine = with_cut(made, self.worker.models.cut_tokens)
        found = self.lease.begin(mine)
        check_same_way(found, mine)
        told = continued_by(found, mine)
        if told != found:
            self.lease.amend(told)
        self.recorded |= self.lease.committed_packs()
        if self.recorded:
            check_same_prompts(self.lease.recorded_prompts(), paper.prompts)

        def remember(tokens: int) -> None:
            self.worker.models.remember_cut(tokens)
            self.lease.amend(with_cut(told, tokens))

        def make_room() -> bool:
            kept = self.worker.chat.let_go()
            self.worker.device.release()
            return kept

        writes = paper.skill is Skill.STREAM
        answerer = Writer(engine, paper, self.worker.device, self._breathe) if writes else OptionScorer(engine)
        return SplittingAnswerer(answerer, told.cut_tokens, remember, make_room)

    @property
    def must_stop(self) -> bool:
        """Whether the worker was told to stop, or the sweep was paused."""
        return self.worker.channel.stopped or self.lease.paused

    def record(self, paper: Paper, pack: Pack, replies: PackReplies) -> None:
        """Mark a pack and record its Answers, all or none, once.

        Raises
        ------
        LeaseLost
            where another worker holds the Run by now.
        PatternTooSlow
            where an expression of the exam takes too long on a reply; the replies are recorded, without marks.
        """
        slow = None
        try:
            answers = paper.mark(pack, replies)
        except PatternTooSlow as error:
            answers, slow = paper.unmarked(pack, replies), error
        self.costs.answered(replies)
        with self.costs.writing():
            self.lease.record(pack.index, answers, replies.cost)
        self.worker.liveness.beat()
        self.recorded.add(pack.index)
        if slow is not None:
            raise slow

    def hand_back(self) -> bool:
        """Give the Run back before its end: False, it isn't done. Raises `LeaseLost`."""
        self.stop_measuring()
        self.lease.hand_back(self.costs.measures, why_handed_back(self.worker))
        return False

    def finish(self, answerer: SplittingAnswerer, paper: Paper, prepared: Prepared) -> bool:
        """Measure the noise where that was asked for, and end the Run: True, it is done. Raises `LeaseLost`."""
        self.stop_measuring()
        self.lease.finish(self.costs.measures, check_noise(self.claim, self.lease, answerer, paper, prepared))
        return True

    def _breathe(self, made: int, of: int) -> None:
        """Between two decode steps of a pack that takes a while: show life, and leave replies their share of the time.

        `made` of the pack's `of` questions are answered, which the next renewal tells.

        Raises
        ------
        BrokenOff
            where the Run is to be handed back.
        """
        self.worker.liveness.beat()
        self.lease.under_way = (made, of)
        if self.must_stop:
            raise BrokenOff
        if time.monotonic() >= self._breathed + BREATH_S:
            self.worker.chat.answer_between_packs()
            self._breathed = time.monotonic()


def why_handed_back(worker: WorkerContext) -> str:
    return "the worker was told to stop" if worker.channel.stopped else "its sweep was paused"
