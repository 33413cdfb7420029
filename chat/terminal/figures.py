"""Numbers of replies and conversations in words: the line after a reply, `/stats`, what the context holds."""

from __future__ import annotations

from collections.abc import Sequence

from chat.protocol.turns import Ending, Progress, Stage
from chat.terminal.screen import FINISHES
from proctor.contestants import lane_labels
from proctor.nouns.conversations import ContextFacts, Conversation, Counts, Role, Turn, path_to
from proctor.nouns.models import Lane


def after_reply(ending: Ending) -> str:
    """One line: tokens in (of how many, cached), out, time to the first token, tokens a second, what was left out."""
    counts, shown = ending.counts, ending.context
    budget = f" of {shown.budget:,}" if shown and shown.budget else ""
    cached = f", {counts.tokens_cached:,} cached" if counts.tokens_cached else ""
    parts = [
        FINISHES[ending.finish],
        f"in {counts.tokens_in:,}{budget}{cached}",
        f"out {counts.tokens_out:,}",
        f"first token {counts.wait_s + counts.first_token_s:.2f} s",
        f"{counts.tokens_per_s:.1f} tokens/s" if counts.tokens_per_s else "",
        left_out(shown),
    ]
    return " · ".join(part for part in parts if part)


def left_out(shown: ContextFacts | None) -> str:
    """What the model was not shown, or not as it was said; "" where it was shown everything so."""
    if shown is None:
        return ""
    parts = []
    if shown.summary_id is not None:
        parts.append("earlier ones summarised")
    if shown.left_out:
        parts.append(f"{shown.left_out} message{'s' * (shown.left_out > 1)} not read")
    if shown.cut:
        parts.append("one exchange cut in the middle")
    if shown.system_in_user:
        parts.append("the system prompt stands in the first message, as the model's template has no place for it")
    return ", ".join(parts)


def _model_of(lane: str) -> str:
    """A lane's model as people call it, `smollm2 4 bit`; one that can't be read as it is."""
    try:
        read = Lane.parse(lane)
    except ValueError:
        return lane
    return lane_labels([read])[read]


def waiting(progress: Progress) -> str:
    """What a Turn waits for."""
    match progress.stage:
        case Stage.ACCEPTED:
            ahead = f", {progress.ahead} ahead" if progress.ahead else ""
            return f"waiting for a worker{ahead}: it is at work, or starts and loads the model …"
        case Stage.LOADING:
            return f"{progress.worker or 'a worker'} loads {_model_of(progress.lane)} …"
        case Stage.CLAIMED:
            return f"{progress.worker or 'a worker'} has it …"
        case Stage.READING:
            return f"reading {progress.context.tokens:,} tokens …" if progress.context else "reading …"


def statistics(story: Conversation, history: str) -> list[str]:
    """`/stats`: messages, exchanges, tokens a Turn, times, history mode, summaries. A line each."""
    path = path_to(story.turns, story.last_turn_id)
    replies = [turn for turn in path if turn.role is Role.ASSISTANT]
    exchanges = sum(1 for turn in replies if turn.content)
    spoken = ", ".join(f"{role} {sum(1 for turn in path if turn.role is role)}" for role in Role)
    took = total([turn.counts for turn in replies])
    in_use = sum(1 for each in story.summaries if each.undone_at is None)
    lines = [
        f"conversation {story.id}: {story.title}",
        f"messages {len(path)} ({spoken}), exchanges {exchanges}, on other branches {len(story.turns) - len(path)}",
        f"tokens in {took.tokens_in:,} (cached {took.tokens_cached:,}), out {took.tokens_out:,}",
        f"seconds waited {took.wait_s:.1f}, loading {took.load_s:.1f}",
        f"seconds to first tokens {took.first_token_s:.1f}, generating {took.generate_s:.1f}",
        f"history {history}, summaries {in_use} in use, {len(story.summaries) - in_use} taken back",
    ]
    if replies:
        lines.append("turn      in  cached     out  first token  tokens/s  model")
    lines += [_row(number, turn) for number, turn in enumerate(replies, 1)]
    return lines


def summaries(story: Conversation) -> list[str]:
    """Each summary with what it stands for, and whether it is in use."""
    place = {turn.id: turn.position + 1 for turn in story.turns}
    lines = []
    for each in story.summaries:
        state = "taken back" if each.undone_at else "in use"
        lines.append(
            f"summary {each.id} ({state}): messages 1 to {place.get(each.through_id, '?')}, made by {each.method}, "
            f"{each.tokens:,} tokens for {each.source_tokens:,}"
        )
        lines.append(each.content)
    return lines


def _row(number: int, turn: Turn) -> str:
    counts = turn.counts
    speed = f"{counts.tokens_per_s:.1f}" if counts.tokens_per_s else "-"
    return (
        f"{number:>4}  {counts.tokens_in:>6,}  {counts.tokens_cached:>6,}  {counts.tokens_out:>6,}  "
        f"{counts.first_token_s:>9.2f} s  {speed:>8}  {turn.lane}"
    )


def total(counts: Sequence[Counts]) -> Counts:
    """What several replies took together."""
    return Counts(
        tokens_in=sum(each.tokens_in for each in counts),
        tokens_cached=sum(each.tokens_cached for each in counts),
        tokens_out=sum(each.tokens_out for each in counts),
        wait_s=sum(each.wait_s for each in counts),
        load_s=sum(each.load_s for each in counts),
        first_token_s=sum(each.first_token_s for each in counts),
        generate_s=sum(each.generate_s for each in counts),
    )
