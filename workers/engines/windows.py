"""Windows of a page: how a text is cut whose every token is scored, though it may be longer than the model reads.

As in lm-evaluation-harness 0.4.13 (loglikelihood_rolling): no token is scored twice, the first window stands behind the
token that begins texts, later ones have one token of context, and the last has as many as fit. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.engines.scoring import Continuation


def windows_of(tokens: Sequence[int], window: int, beginning: int) -> tuple[Continuation, ...]:
    """The windows of a page of `tokens`, for a model that reads `window` of them; none for an empty page.

    `beginning` is the token before the page. The last token of each line is only predicted, never read.
    """
    first = tokens[:window]
    found = [Continuation((beginning, *first), len(first))] if tokens else []
    for start in range(window, len(tokens), window):
        end = min(start + window, len(tokens))
        found.append(Continuation(tuple(tokens[end - window - 1 : end]), end - start))
    return tuple(found)


def parts_of(window: Continuation, most: int) -> tuple[Continuation, ...]:
    """The window as parts of at most `most` scored tokens each, behind all of the window that stands before them."""
    before = len(window.line) - window.scored
    ends = [*range(before + most, len(window.line), most), len(window.line)]
    starts = [before, *ends[:-1]]
    return tuple(Continuation(window.line[:end], end - start) for start, end in zip(starts, ends, strict=True))
