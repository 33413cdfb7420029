"""A second engine, without torch and without any library: a bigram model of bytes, counted over a text.

It is whole, if small: it scores, streams, echoes, and reads a chat template. What works with it needs nothing of
transformers (tests/integration/conversation/test_engine_seam.py). What `workers.engines.base` promises can be read
off it.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from proctor.exams.chat_prompts import Turns
from proctor.nouns.conversations import Finish
from proctor.nouns.exams import Choose, Pack, Prompt, Roll
from proctor.nouns.models import Device, DType, ModelRef, Quant
from proctor.nouns.runs import Cost, Provenance
from workers.engines.base import DevicePeak, LoadRequest, Skill
from workers.engines.chat_template import ChatTemplate
from workers.engines.detokenizer import Detokenizer
from workers.engines.generation import GenerationRequest, NextToken, PromptLogprob, TokenLogprob
from workers.engines.measure import Meter
from workers.engines.scoring import PackScores, Prepared
from workers.engines.windows import windows_of

READ = "The moon turns once in each orbit, and so it shows one face. Answer: A Answer: B The sun turns, too.\n"
END = 256  # the token behind the bytes
COUNTS = Counter(pairwise([*(READ * 4).encode(), END]))
TOTALS = Counter(first for first, _ in COUNTS.elements())
MADE_BY = Provenance(DType.FLOAT32, "none", "plain Python", "here", products="plain Python")


def logprob(before: int, token: int) -> float:
    """The natural log-probability of a byte, or the end, behind a byte; add-one smoothing over all 257."""
    return math.log((COUNTS[before, token] + 1) / (TOTALS[before] + END + 1))


def score(before: int, tokens: Sequence[int]) -> float:
    return math.fsum(logprob(*pair) for pair in pairwise([before, *tokens]))


def is_greedy(before: int, tokens: Sequence[int]) -> bool:
    """Whether each token is the likeliest behind the one before it."""
    return all(
        token == max(range(END + 1), key=lambda each: (logprob(one, each), -each))
        for one, token in pairwise([before, *tokens])
    )


def rolled(ask: Roll) -> float:
    """The log-probability of a page, window by window; of what stands before a byte this model reads one."""
    windows = windows_of(ask.text.encode(), Bytes.window, END)
    return math.fsum(score(one.line[-one.scored - 1], one.line[-one.scored :]) for one in windows)


def lines_of(ask: Choose) -> Iterator[tuple[int, bytes]]:
    """The last byte before each option, `END` where there is none, and the option."""
    for context, option in zip(ask.contexts or (ask.text,) * len(ask.options), ask.options, strict=True):
        yield [END, *context.encode()][-1], option.encode()


@dataclass(frozen=True)
class PlainDevice:
    """Nothing but this process."""

    kind: Device = Device.CPU
    name: str = "plain Python"
    gpus: int = 0

    def release(self) -> None:
        """Python does it."""

    def begin_gpu_time(self) -> Callable[[], float]:
        return lambda: 0.0

    def begin_peak(self) -> Callable[[], DevicePeak]:
        return DevicePeak


class Bytes:
    """The `Tokenizer` whose tokens are bytes."""

    window, vocabulary_size, own_ids = 2000, END + 1, True

    def __init__(self) -> None:
        self.template = ChatTemplate(written, "bigram")

    def ids(self, text: str) -> list[int]:
        return list(text.encode())

    text_ids = ids

    def count(self, text: str) -> int:
        return len(text.encode())

    def size(self, tokens: Sequence[int]) -> int:
        return len(tokens)

    def decode(self, tokens: Sequence[int], *, specials: bool = True) -> str:
        return b"".join(self.token_bytes(token) for token in tokens if specials or token < END).decode(errors="replace")

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < END else b"<end>"


def written(turns: Turns, _moment: datetime) -> str:
    """Its chat template."""
    return "".join(f"{turn['role']}: {turn['content']}\n" for turn in turns) + "assistant: "


class BigramGenerator:
    """The `Generator` that gives each reply a byte a step."""

    def __init__(self) -> None:
        self._replies: dict[str, tuple[GenerationRequest, list[int]]] = {}

    @property
    def live(self) -> int:
        return len(self._replies)

    def fits(self, request: GenerationRequest) -> bool:  # noqa: ARG002 -- the protocol's
        return True

    def add(self, request: GenerationRequest) -> int:
        self._replies[request.id] = (request, list(request.emitted))
        return 0

    def cancel(self, request_id: str) -> None:
        self._replies.pop(request_id, None)

    def step(self) -> list[NextToken]:
        tokens = [self._next(*reply) for reply in self._replies.values()]
        for token in tokens:
            if token.finish is not None:
                self.cancel(token.id)
        return tokens

    def let_go(self) -> bool:
        return False

    def forget(self) -> None:
        self._replies.clear()

    def _next(self, request: GenerationRequest, tokens: list[int]) -> NextToken:
        sampling, place = request.sampling, len(tokens)
        line = [*request.prompt, *tokens]
        ranks = sorted((TokenLogprob(token, logprob(line[-1], token)) for token in range(END + 1)), key=_likeliest)
        chosen = ranks[0]
        if not sampling.greedy:
            weights = [math.exp(rank.logprob / sampling.temperature) for rank in ranks]
            chosen = random.Random(f"{sampling.seed} {place}").choices(ranks, weights)[0]  # noqa: S311 -- no secret
        if chosen.token == END:
            finish: Finish | None = Finish.STOP
        else:
            tokens.append(chosen.token)
            finish = Finish.LENGTH if len(tokens) >= request.limit else None
        if sampling.rivals is None:
            return NextToken(request.id, chosen.token, finish=finish)
        prompt = [PromptLogprob(token, logprob(before, token)) for before, token in pairwise(request.prompt)]
        echoed = tuple(prompt) if request.echo and place == 0 else ()
        return NextToken(
            request.id, chosen.token, chosen.logprob, tuple(ranks[: sampling.rivals]), finish, echoed
        )  # fmt: skip


def _likeliest(rank: TokenLogprob) -> tuple[float, int]:
    return -rank.logprob, rank.token


@dataclass(frozen=True, eq=False)
class BigramEngine:
    """The `Engine` of this model."""

    ref: ModelRef
    quant: Quant
    skills: AbstractSet[Skill] = frozenset({Skill.SCORE, Skill.STREAM, Skill.EXACT})
    tokenizer: Bytes = field(default_factory=Bytes)
    provenance: Provenance = MADE_BY
    load_cost: Cost = field(default_factory=Cost)
    weight_bytes: int = 0
    closed: list[bool] = field(default_factory=list)

    def prepare(self, prompts: Sequence[Prompt]) -> Prepared:
        scored = [prompt.options or (prompt.text,) for prompt in prompts]
        lengths = tuple(sum(self.tokenizer.count(one) for one in some) for some in scored)
        return Prepared(tuple(prompts), lengths, Cost(), padded=False)

    def answer(self, prepared: Prepared, pack: Pack) -> PackScores:
        with Meter(PlainDevice()) as meter:
            asks = [prepared.prompts[index].ask for index in pack.members]
            lines = [list(lines_of(ask)) if isinstance(ask, Choose) else [] for ask in asks]
            rows = tuple(
                (rolled(ask),) if isinstance(ask, Roll) else tuple(score(*line) for line in some)
                for ask, some in zip(asks, lines, strict=True)
            )
            greedy = tuple(tuple(is_greedy(*line) for line in some) for some in lines)
        return PackScores(rows, sum(prepared.lengths[index] for index in pack.members), 0, meter.cost, greedy)

    def score_options(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
        return tuple(score(prompt[-1], option) for option in options)

    def stream(self) -> BigramGenerator:
        return BigramGenerator()

    def detokenizer(self, stops: Sequence[str] = (), behind: Sequence[int] = ()) -> Detokenizer:
        return Detokenizer(self.tokenizer.decode, stops, behind)

    def close(self) -> None:
        self.closed.append(True)


def load(request: LoadRequest) -> BigramEngine:
    """What `Models` loads by; there are no files."""
    return BigramEngine(request.ref, request.quant)
