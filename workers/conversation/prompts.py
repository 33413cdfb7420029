"""What a model is shown of a conversation: from the rows of the store, through `chat.context.window`, to token ids; and
the summary of what slides out of its window, after the reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chat.context.summary import Method, extract
from chat.context.thread import Thread, facts, fold, in_force, read_thread, show, through
from chat.context.window import BETWEEN, ContextTooLong, Policy, accept
from proctor.errors import BadInput
from proctor.nouns.conversations import ContextFacts, Conversation, History, Role, Summary, Turn, TurnStatus, path_to
from proctor.nouns.models import Lane
from proctor.store.conversations import conversations
from proctor.store.conversations.turns import TurnClaim
from proctor.store.database.session import Store
from workers.conversation.rendering import TemplateRenderer
from workers.conversation.vocabulary import Vocabulary
from workers.engines.base import Engine

LONGEST_WINDOW = 32_768  # tokens: models without positions, and those with very many, are shown that much
RESERVE = 512  # tokens for the answer where nobody says how many


@dataclass(frozen=True)
class BuiltPrompt:
    """The prompt of a reply."""

    ids: tuple[int, ...]
    facts: ContextFacts
    window: int  # tokens that prompt and reply may have together
    behind: tuple[int, ...] = ()  # what the reply's text goes on with: a raw prompt, or the reply that was opened
    text: str = ""  # of a raw prompt
    in_tokens: bool = False  # it was said in tokens, and nobody knew its text


class PromptBuilder:
    """The way from conversations to prompts for one loaded model."""

    def __init__(self, store: Store, model: Engine) -> None:
        self.store, self._tokenizer = store, model.tokenizer
        self.renderer = TemplateRenderer(model.tokenizer)
        self.window = min(model.tokenizer.window, LONGEST_WINDOW)
        self._name = str(model.ref)
        self.vocabulary = Vocabulary(model.tokenizer.token_bytes)

    def show(self, claim: TurnClaim) -> BuiltPrompt:
        """The prompt of a claimed reply.

        Raises
        ------
        ContextTooLong
            where what must be whole does not fit.
        BadInput, BadModel
            where there is nothing to answer, or the model can't converse.
        """
        if claim.history is History.RAW and claim.parent_id is not None:
            turn = conversations.find_turn(self.store, claim.parent_id)
            if turn is not None and turn.role is Role.USER and turn.token_ids:
                return self._in_tokens(claim, turn.token_ids)
        thread, summaries = self._thread(conversations.load(self.store, claim.conversation_id), claim, None)
        found = in_force(thread, summaries)
        shown = show(self.renderer, self._policy(claim), thread, claim.history, found[1] if found else None)
        behind = shown.ids if claim.history is History.RAW else thread.message()[0].opened
        text = BETWEEN.join(thread.asked or ()) if claim.history is History.RAW else ""
        return BuiltPrompt(shown.ids, facts(thread, shown, found[0].id if found else None), self.window, behind, text)

    def _in_tokens(self, claim: TurnClaim, ids: tuple[int, ...]) -> BuiltPrompt:
        """What was said in tokens, as it stands."""
        if max(ids) >= self._tokenizer.vocabulary_size:
            raise BadInput(f"There is no token {max(ids)}: the model has {self._tokenizer.vocabulary_size:,}.")
        budget = self.window + 1 - max(1, min(claim.sampling.max_tokens or 1, self.window))  # the last is never read
        if len(ids) > budget:
            raise ContextTooLong(len(ids), budget)
        text = self._tokenizer.decode(ids).replace("\0", "\N{REPLACEMENT CHARACTER}")
        return BuiltPrompt(ids, ContextFacts(tokens=len(ids), budget=budget), self.window, ids, text, in_tokens=True)

    def fold(self, claim: TurnClaim, reply: Sequence[int], content: str) -> None:
        """After a reply: summarise what is about to slide out of the window, where it is time.

        Nothing is due behind a reply that isn't the conversation's newest Turn: it was asked for apart.
        """
        now = datetime.now(UTC)
        said = Turn(
            claim.turn_id, claim.conversation_id, claim.parent_id, 0, Role.ASSISTANT, content, TurnStatus.DONE, now,
            token_ids=tuple(reply), lane=str(claim.lane),
        )  # fmt: skip
        story = conversations.load(self.store, claim.conversation_id)
        if story.last_turn_id != claim.turn_id:
            return
        thread, summaries = self._thread(story, claim, said)
        found = in_force(thread, summaries)
        folding = fold(self.renderer, self._policy(claim), thread, found[1] if found else None)
        if folding is None:
            return
        made = accept(self.renderer, folding, extract(folding, self._count, Method.FACTS))
        if made is not None:
            conversations.add_summary(
                self.store,
                claim.conversation_id,
                through(thread, folding),
                content=made.text,
                method=Method.FACTS,
                source_tokens=self._count(folding.source),
                tokens=self._count(made.text),
            )

    def _policy(self, claim: TurnClaim) -> Policy:
        wanted = claim.sampling.max_tokens or RESERVE
        return Policy(self.window, max(1, min(wanted, self.window // 2)))

    def _thread(self, story: Conversation, claim: TurnClaim, reply: Turn | None) -> tuple[Thread, Sequence[Summary]]:
        path = path_to(story.turns, claim.parent_id)
        return read_thread((*path, reply) if reply is not None else path, self._ids), story.summaries

    def _ids(self, turn: Turn) -> Sequence[int]:
        """A reply's tokens as they were generated, where this model did so and they are its whole text; else anew."""
        mine = bool(turn.lane) and Lane.parse(turn.lane).model == self._name
        if mine and turn.token_ids and self._spells(turn.token_ids, turn.content):
            return turn.token_ids
        return self.renderer.text_ids(turn.content)

    def _spells(self, tokens: Sequence[int], text: str) -> bool:
        """Whether these tokens are this text; of one that went on with another they alone lack the space before it."""
        return self._tokenizer.decode(tokens).lstrip(" ") == text.lstrip(" ")

    def _count(self, text: str) -> int:
        return len(self.renderer.text_ids(text))
