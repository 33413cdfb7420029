"""Writing: a pack of questions whose answers are generated, by the engine's `stream`, all under way together.

Replies join and leave the batch one by one; a question that is asked on (a second turn) joins again. A reply ends at
the model's end token, behind the first stop string that comes up, or at its longest; it is kept raw and uncut, so that
it can be judged in other ways later. Where a model thinks by its own marks, stop strings are for what it says behind
them, and the reply remembers the mark.

In float32 a greedy reply is the same in any company (`workers.engines.generation`). In other types it isn't, so that
company is a function of the pack alone: what earlier packs left in the KV cache is let go of before each one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from proctor.errors import CantBeAsked
from proctor.exams.judging.thoughts import ThinkingMarks, ThoughtWatch
from proctor.nouns.conversations import MAX_SEED, Finish, Sampling
from proctor.nouns.exams import Exchange, Pack, Prompt, Write, Written
from proctor.nouns.runs import Cost
from workers.engines.base import ComputeDevice, Engine
from workers.engines.detokenizer import Detokenizer
from workers.engines.generation import GenerationRequest, Generator, NextToken, Usage
from workers.engines.measure import Meter
from workers.engines.scoring import Prepared
from workers.engines.thinking import detokenizer_of, marks_of
from workers.run.paper import Paper
from workers.run.replies import PackReplies

TOGETHER = 32  # replies under way at a time


@dataclass
class _Reply:
    """A question under way: the ask that is being replied to, and the exchanges before it."""

    member: int
    ask: Write
    request: GenerationRequest
    detokenizer: Detokenizer
    exchanges: list[Exchange]
    thought: ThoughtWatch
    own_ids: bool  # whether its tokens are the model's
    usage: Usage = field(default_factory=Usage)  # so far; of a server's reply what it told
    looked: int = 0  # characters in which no stop string was found

    def take(self, token: NextToken) -> Finish | None:
        """Add what has come, up to the token with which a stop string comes up: then `STOP`."""
        self.usage = token.usage or replace(self.usage, written=self.usage.written + 1)
        for each in token.tokens:
            self.detokenizer.push([each])
            if self._stopped():
                return Finish.STOP
        return token.finish

    def end(self, finish: Finish) -> None:
        """The reply is over: keep it with its ask."""
        self.detokenizer.end()
        self.thought.spoken(self.detokenizer.text)
        tokens = tuple(self.detokenizer.tokens) if self.own_ids else ()
        written = Written(self.detokenizer.text, tokens, finish, self.thought.end)
        self.exchanges.append(Exchange(self.ask, written))

    def _stopped(self) -> bool:
        """Whether a stop string came up in what the model says; its thought has none."""
        text = self.detokenizer.text
        begin = self.thought.spoken(text)
        if begin is None:
            return False
        stopped = any(stop in text[max(begin, self.looked - len(stop)) :] for stop in self.ask.sampling.stop)
        self.looked = len(text)
        return stopped


class Writer:
    """The `Answerer` of papers that ask to write.

    `between_steps` is called before each decode step, with how many of the pack's questions are answered and how many
    there are: it may do other work, and raises to break the pack off.
    """

    def __init__(
        self,
        engine: Engine,
        paper: Paper,
        device: ComputeDevice,
        between_steps: Callable[[int, int], None] = lambda _made, _all: None,
    ) -> None:
        self._engine, self._paper, self._device, self._between_steps = engine, paper, device, between_steps
        self._generator: Generator = engine.stream()
        self._marks = marks_of(engine.tokenizer)

    def answer(self, _prepared: Prepared, pack: Pack) -> PackReplies:
        """The pack's replies, each behind the one before it of the same question.

        Raises
        ------
        CantBeAsked
            where a prompt leaves no room in the window for a reply.
        OutOfMemory
            where so many at a time are too much; what was made of the pack is lost then.
        BadScores
            as of `Generator.step`.
        """
        self._generator.let_go()
        with Meter(self._device) as meter:
            work = _PackWork(self._engine, self._paper, self._generator, pack, self._marks)
            try:
                while work.unfinished:
                    self._between_steps(work.made, len(pack.members))
                    work.step()
            except BaseException:
                self._generator.forget()
                raise
        return work.replies(meter.cost)


class _PackWork:
    """A pack under way."""

    def __init__(self, engine: Engine, paper: Paper, generator: Generator, pack: Pack, marks: ThinkingMarks) -> None:
        self._engine, self._paper, self._generator, self._pack = engine, paper, generator, pack
        self._marks = marks
        self._done: dict[int, list[Exchange]] = {}
        self._live: dict[str, _Reply] = {}
        self._waiting = [self._reply(member, ask, []) for member, ask in first_asks(paper, pack.members)]
        self._usage = Usage()  # of the replies that have ended
        self._begun = False  # whether a reply has its first token

    @property
    def made(self) -> int:
        """Questions that are answered to their end."""
        return len(self._done)

    @property
    def unfinished(self) -> bool:
        return bool(self._waiting or self._live)

    def step(self) -> None:
        """Let those that wait join as far as there is room, and make a token of each."""
        self._admit()
        for token in self._generator.step():
            self._begun = True
            reply = self._live[token.id]
            finish = reply.take(token)
            if finish is not None:
                self._generator.cancel(token.id)
                del self._live[token.id]
                self._go_on(reply, finish)

    def replies(self, cost: Cost) -> PackReplies:
        """All of it, in the order of the pack."""
        exchanges = tuple(tuple(self._done[member]) for member in self._pack.members)
        usage = self._usage
        return PackReplies(exchanges, usage.computed, usage.cached, cost, usage.written)

    def _admit(self) -> None:
        while self._waiting and len(self._live) < TOGETHER:
            if self._live and not self._begun:
                return  # the first reads its prompt alone: what all begin with is then there for the others to copy
            reply = self._waiting[0]
            request = reply.request
            if self._live and not self._generator.fits(request):
                return
            del self._waiting[0]
            self._live[request.id] = reply
            cached = self._generator.add(request)
            reply.usage = Usage(self._engine.tokenizer.size(request.prompt), cached)

    def _request(self, member: int, ask: Write, turn: int) -> GenerationRequest:
        prompt = tuple(self._engine.tokenizer.ids(ask.text))
        left = self._engine.tokenizer.window - len(prompt)
        if left < 1:
            question = self._paper.prompts[member].question
            raise CantBeAsked(
                self._engine.ref.name,
                f"the prompt of question {question.index} has {len(prompt):,} tokens and the window "
                f"{self._engine.tokenizer.window:,}: there is no room for a reply",
                "Ask with fewer shots, or take a model with a longer window.",
            )
        sampling = seeded(ask.sampling, self._paper.prompts[member], turn)
        limit = min(sampling.max_tokens or left, left)
        return GenerationRequest(f"{member}.{turn}", prompt, sampling, limit)

    def _go_on(self, reply: _Reply, finish: Finish) -> None:
        """End a reply, and ask the question's next ask where there is one."""
        reply.end(finish)
        self._usage += reply.usage
        ask = self._paper.next_ask(reply.member, reply.exchanges)
        if not isinstance(ask, Write):
            self._done[reply.member] = reply.exchanges
        else:
            self._waiting.append(self._reply(reply.member, ask, reply.exchanges))

    def _reply(self, member: int, ask: Write, exchanges: list[Exchange]) -> _Reply:
        request = self._request(member, ask, len(exchanges))
        detokenizer = detokenizer_of(self._engine, self._marks, request.prompt)
        thought = ThoughtWatch(self._marks, ask.text)
        return _Reply(member, ask, request, detokenizer, exchanges, thought, self._engine.tokenizer.own_ids)


def first_asks(paper: Paper, members: Iterable[int]) -> Iterator[tuple[int, Write]]:
    """The first ask to each of these questions. Raises TypeError for one that isn't a Write."""
    for member in members:
        ask = paper.prompts[member].ask
        if not isinstance(ask, Write):
            raise TypeError(f"question {member} asks to choose")
        yield member, ask


def seeded(sampling: Sampling, prompt: Prompt, turn: int) -> Sampling:
    """The sampling of one reply: without a seed of its own, one that follows from question and prompt."""
    if sampling.greedy or sampling.seed is not None:
        return sampling
    digest = hashlib.sha256(f"{prompt.question.id} {prompt.hash} {turn}".encode()).digest()
    return replace(sampling, seed=int.from_bytes(digest[:8], "big") & MAX_SEED)


def prepare_writing(engine: Engine, paper: Paper, device: ComputeDevice) -> Prepared:
    """Reckon what each question takes of the KV cache at most: the tokens of its prompt, and of its longest reply."""
    window = engine.tokenizer.window
    with Meter(device) as meter:
        lengths = tuple(
            min(window, len(engine.tokenizer.ids(ask.text)) + (ask.sampling.max_tokens or window))
            for _, ask in first_asks(paper, range(len(paper.prompts)))
        )
    return Prepared(tuple(paper.prompts), lengths, meter.cost, padded=False)
