"""Scoring by a server: a request a line, so many at a time; nothing is shared but what the server keeps for itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from proctor.errors import BadScores, CantBeAsked
from proctor.nouns.exams import Choose, Pack, Prompt, Roll
from workers.engines.base import ComputeDevice
from workers.engines.endpoint.dialect import COMPLETIONS, Dialect, NotScored, ScoredToken, scored_tokens
from workers.engines.endpoint.dialect import Prompt as Wire
from workers.engines.endpoint.server import Refused, Server
from workers.engines.endpoint.tokens import FileTokenizer, WireTokenizer
from workers.engines.endpoint.usage import Usage, usage_of
from workers.engines.lines import check_page, checked, line_of, texts_of
from workers.engines.measure import Meter
from workers.engines.scoring import EncodedPrompt, PackScores, Prepared
from workers.engines.windows import windows_of

SHARE = 32  # of a pack's tokens, that each question takes: a server gets them one by one, so a pack is so many of them


@dataclass(frozen=True)
class Line:
    """An option behind its prompt, as it goes out. Of a text its tokens are scored from the character `begin` on."""

    wire: Wire
    scored: int = 0  # of token ids: how many, from the end
    begin: int = 0

    def own(self, tokens: Sequence[ScoredToken]) -> Sequence[ScoredToken]:
        """The option's, of the line's tokens. Raises `NotScored` where none begins where the option does."""
        if not isinstance(self.wire, str):
            return tokens[len(tokens) - self.scored :]
        found = [token for token in tokens if token.at is not None and token.at >= self.begin]
        if not found or found[0].at != self.begin:
            raise NotScored("no token of the server's begins where the option does")
        return found


@dataclass(frozen=True)
class EndpointPrepared(Prepared):
    """A Run's prompts with their lines."""

    lines: tuple[tuple[Line, ...], ...] = ()


@dataclass(frozen=True)
class _Scored:
    """What came of one line."""

    logprob: float
    greedy: bool
    usage: Usage


class EndpointScorer:
    """Scores by requests in this dialect."""

    def __init__(self, server: Server, dialect: Dialect, tokenizer: WireTokenizer, device: ComputeDevice) -> None:
        self._server, self._dialect, self._tokenizer, self._device = server, dialect, tokenizer, device

    def prepare(self, prompts: Sequence[Prompt]) -> EndpointPrepared:
        """As `workers.engines.base.Engine.prepare`."""
        with Meter(self._device) as meter:
            lines = tuple(self._lines(prompt) for prompt in prompts)
        return EndpointPrepared(tuple(prompts), (SHARE,) * len(prompts), meter.cost, padded=False, lines=lines)

    def answer(self, prepared: EndpointPrepared, pack: Pack) -> PackScores:
        """As `workers.engines.base.Engine.answer`. Raises `EndpointAway` where the server stays away."""
        with Meter(self._device) as meter:
            lines = [line for member in pack.members for line in prepared.lines[member]]
            found = iter(self._server.each(self._score, lines))
            each = [[next(found) for _ in prepared.lines[member]] for member in pack.members]
        rolls = [isinstance(prepared.prompts[member].ask, Roll) for member in pack.members]
        usage = sum((one.usage for row in each for one in row), Usage())
        return PackScores(
            tuple(_summed(row, roll) for row, roll in zip(each, rolls, strict=True)),
            usage.computed,
            usage.cached,
            meter.cost,
            tuple(() if roll else tuple(one.greedy for one in row) for row, roll in zip(each, rolls, strict=True)),
            usage.written,
        )

    def score_options(self, prompt: Sequence[int], options: Sequence[Sequence[int]]) -> tuple[float, ...]:
        """As `workers.engines.base.Engine.score_options`."""
        text = self._tokenizer.decode(prompt)
        lines = [
            Line([*prompt, *option], len(option))
            if self._dialect.ids
            else Line(text + self._tokenizer.decode(option), begin=len(text))
            for option in options
        ]
        return tuple(one.logprob for one in self._server.each(self._score, lines))

    def _lines(self, prompt: Prompt) -> tuple[Line, ...]:
        tokenizer = self._tokenizer
        if self._dialect.ids and isinstance(tokenizer, FileTokenizer):
            encoded = self._encoded(prompt, tokenizer)
            return tuple(Line(one.line, one.scored) for one in encoded.options)
        texts = texts_of(prompt) if isinstance(prompt.ask, Choose) else []
        if not texts or not all(before for before, _ in texts):
            raise CantBeAsked(
                self._dialect.model,
                "its server takes texts alone, and nothing stands before what is scored",
                "Name the model's tokenizer with --tokenizer, if the server takes token ids.",
            )
        return tuple(Line(whole, begin=len(before)) for before, whole in texts)

    def _encoded(self, prompt: Prompt, tokenizer: FileTokenizer) -> EncodedPrompt:
        if isinstance(prompt.ask, Roll):
            windows = windows_of(tokenizer.ids(prompt.text), tokenizer.window, tokenizer.beginning[0])
            return check_page(prompt, windows, self._dialect.model)
        texts = texts_of(prompt)
        rows = iter(tokenizer.many([text for pair in texts for text in pair]))
        pairs = [(next(rows), next(rows)) for _ in texts]
        lines = [line_of(before, whole, () if before else tokenizer.beginning) for before, whole in pairs]
        return checked(prompt, lines, tokenizer.window, self._dialect.model)

    def _score(self, line: Line) -> _Scored:
        try:
            answer = self._server.post(COMPLETIONS, self._dialect.scoring_body(line.wire))
            own = line.own(scored_tokens(self._dialect.scoring, answer, line.wire))
        except Refused as error:
            raise CantBeAsked(self._dialect.model, f"its server refuses: {error.said}") from error
        except NotScored as error:
            raise BadScores(f"The server of {self._dialect.model!r} gives no score: {error}.") from error
        total = math.fsum(token.logprob for token in own)
        return _Scored(total, all(token.greedy for token in own), usage_of(answer))


def _summed(row: Sequence[_Scored], roll: bool) -> tuple[float, ...]:
    each = tuple(one.logprob for one in row)
    return (math.fsum(each),) if roll else each
