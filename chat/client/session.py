"""A conversation as somebody leads it: what is said next, said again, gone on with. No terminal, no page in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chat.client.client import Client, Reply, ReplySettings, new_id
from proctor.errors import BadInput
from proctor.nouns.conversations import Conversation, Fault, History, Role, Sampling, Utterance, path_to
from proctor.nouns.models import Lane

# Faults of which a worker has filed nothing: what was to be said is still to be said.
NOT_FILED = frozenset({Fault.BUSY, Fault.FULL, Fault.BAD_REQUEST})


class ChatSession:
    """One conversation and the manner in which it goes on. Replies are heard by whoever asked for them."""

    def __init__(self, client: Client, reply_settings: ReplySettings) -> None:
        self.client, self.reply_settings = client, reply_settings
        self.conversation = new_id()
        self.last_asked: str | None = None  # the user's newest Turn: what `again` answers anew
        self.last_reply: str | None = None  # the newest reply of which anything came: what `go_on` goes on with
        self._before: tuple[Utterance, ...] = ()  # to be said in front of the next message

    @property
    def begun(self) -> bool:
        """Whether the conversation has anything in it."""
        return self.last_asked is not None or bool(self._before)

    def say(self, text: str) -> Reply:
        """Say something; what was laid in front of it is said with it."""
        if not text.strip():
            raise BadInput("There is nothing to say.")
        return self._ask((*self._before, Utterance(Role.USER, text)))

    def again(self) -> Reply:
        """Have the newest message answered anew; the earlier reply is kept, on a branch of its own."""
        if self.last_asked is None:
            raise BadInput("There is nothing to answer again yet.")
        return self._ask((), self.last_asked)

    def go_on(self) -> Reply:
        """Have the newest reply gone on with where it ended."""
        if self.last_reply is None:
            raise BadInput("There is no reply to go on with yet.")
        return self._ask((), self.last_reply)

    def score(self, text: str, options: Sequence[str], history: History) -> Reply:
        """Have each option's log-probability taken behind `text`, as if it were said now. Nothing is changed by it."""
        say = (*self._before, Utterance(Role.USER, text))
        request = replace(self.reply_settings, history=history).request(self.conversation, say)
        return self.client.ask(replace(request, options=tuple(options)))

    def write(self, text: str, sampling: Sampling, history: History) -> Reply:
        """Have `text` answered in words, as if it were said now. Nothing is changed by it."""
        say = (*self._before, Utterance(Role.USER, text))
        settings = replace(self.reply_settings, history=history, sampling=sampling)
        return self.client.ask(replace(settings.request(self.conversation, say), apart=True))

    def lay(self, before: Sequence[Utterance]) -> None:
        """Put messages in front of what is said next: a system prompt, or an earlier conversation."""
        self._before = (*self._before, *before)

    def set_system(self, text: str) -> None:
        """From the next message on, this is the system prompt; it replaces the one before."""
        self._before = (*(each for each in self._before if each.role is not Role.SYSTEM), Utterance(Role.SYSTEM, text))

    def begin_anew(self) -> None:
        """Leave this conversation as it is, and begin another one."""
        self.conversation = new_id()
        self.last_asked = self.last_reply = None
        self._before = ()

    def resume(self, story: Conversation) -> None:
        """Go on with a conversation where it was left."""
        self.begin_anew()
        self.conversation = story.id
        for turn in path_to(story.turns, story.last_turn_id):
            if turn.role is Role.USER:
                self.last_asked = turn.id
            elif turn.role is Role.ASSISTANT and turn.content:
                self.last_reply = turn.id

    def ended(self, reply: Reply) -> None:
        """Take note of how a reply ended."""
        ending, request = reply.ending, reply.request
        if ending is not None and ending.fault in NOT_FILED:
            return
        if request.say:
            self._before = ()
            self.last_asked = f"{request.turn}-{len(request.say) - 1}"
            self.last_reply = None
        if reply.text:
            self.last_reply = request.turn

    def _ask(self, say: Sequence[Utterance], after: str | None = None) -> Reply:
        return self.client.ask(self.reply_settings.request(self.conversation, say, after))


def settings_of(story: Conversation, otherwise: ReplySettings) -> ReplySettings:
    """The model and quantization that answered last in a conversation; `otherwise` where none has."""
    lanes = [turn.lane for turn in story.turns if turn.lane]
    if not lanes:
        return otherwise
    lane = Lane.parse(lanes[-1])
    return replace(otherwise, model=lane.model, quant=lane.quant, device=lane.device)
