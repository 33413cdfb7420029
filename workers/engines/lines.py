"""Lines: an option behind its prompt as token ids, whichever tokenizer made them. Pure.

The boundary is lm-evaluation-harness's: prompt and option are tokenized as one text, and the option is what comes after
as many tokens as the prompt alone has; white space at the prompt's end goes to the option.
"""

from __future__ import annotations

from collections.abc import Sequence

from proctor.errors import CantBeAsked
from proctor.nouns.exams import Choose, Prompt
from workers.engines.scoring import Continuation, EncodedPrompt


def texts_of(prompt: Prompt) -> list[tuple[str, str]]:
    """What is tokenized for each option of a prompt: what stands before it, and that with the option."""
    ask = prompt.ask
    contexts = ask.contexts if isinstance(ask, Choose) and ask.contexts else (prompt.text,) * len(prompt.options)
    return [(context.rstrip(), context + option) for context, option in zip(contexts, prompt.options, strict=True)]


def line_of(before: Sequence[int], whole: Sequence[int], beginning: Sequence[int] = ()) -> Continuation:
    """An option behind what is read before it: the `beginning` of texts, where that is nothing."""
    begin = () if before else beginning
    return Continuation((*begin, *before, *whole[len(before) :]), scored=len(whole) - len(before))


def checked(prompt: Prompt, lines: Sequence[Continuation], window: int, model: str) -> EncodedPrompt:
    """The prompt of these lines.

    Raises
    ------
    CantBeAsked
        where an option adds no token of its own, or a line is longer than the window.
    """
    encoded = EncodedPrompt(prompt, tuple(lines))
    if min(line.scored for line in lines) < 1:
        raise CantBeAsked(
            model,
            f"its tokenizer has no token of its own for an option of question {prompt.question.index} "
            f"({prompt.question.text[:60]!r})",
            "Give the option other words, or take the question out.",
        )
    # The last token of a line is only predicted, never read: it takes no place in the window.
    if encoded.length - 1 > window:
        raise CantBeAsked(
            model,
            f"question {prompt.question.index} has {encoded.length - 1:,} tokens and the window {window:,}",
            "Ask with fewer shots, or take a model with a longer window.",
        )
    return encoded


def check_page(prompt: Prompt, windows: Sequence[Continuation], model: str) -> EncodedPrompt:
    """The page of these windows. Raises `CantBeAsked` where it is empty."""
    if not windows:
        raise CantBeAsked(model, f"page {prompt.question.index} is empty", "Take the page out of the benchmark's rows.")
    return EncodedPrompt(prompt, tuple(windows))


def no_beginning(model: str) -> CantBeAsked:
    """What is said where nothing stands before what is scored, and the tokenizer has no token that could."""
    return CantBeAsked(
        model,
        "its tokenizer has no token that begins or ends texts, and nothing stands before what is scored",
        "Take a benchmark whose questions have a text.",
    )
