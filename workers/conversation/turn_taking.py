"""Turn-taking: which replies a worker takes in, and for how long it makes them. Pure: values in, an act out.

Replies come before exam packs, and leave them their share of the time:

- Between two Runs every reply under way is made to its end. Replies that come later than `ADMIT_S` wait for the next
  slot, so that a steady stream of them can't keep a Run from beginning.
- Between two packs replies are made `SHARE` times as long as the pack took, and `SLICE_S` at least. Those that are
  still under way then pause, and go on in the next slot.
- In either slot, waiting replies join those under way between two decode steps (continuous batching): at most
  `MOST_LIVE`, and as many as fit into the KV cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

from proctor.nouns.models import Lane

MOST_LIVE = 32  # replies at a time
FIRST_CLAIM = 4  # replies that are claimed before their model is loaded
LOOK_S = 0.05  # between two looks into the store while replies are under way
ADMIT_S = 10.0  # of a slot between two Runs: replies that come later wait for the next slot
SLICE_S = 0.25  # the shortest slot between two packs
SHARE = 3.0  # of a slot between two packs: seconds of replies for a second of the pack before
STARVED_S = 30.0  # a model that replies wait for is loaded between two Runs after so long, if no worker is idle
LINGER_S = 1.0  # after a reply: a program's next message comes at once, its bell after up to half a second


@dataclass(frozen=True)
class Slot:
    """A stretch of time that is the replies'. All times are of one monotonic clock, in seconds."""

    admits_until: float
    ends: float


def between_runs(now: float) -> Slot:
    """The slot before the next Run: it ends when no reply is under way any more."""
    return Slot(admits_until=now + ADMIT_S, ends=math.inf)


def between_packs(now: float, left: float) -> Slot:
    """The slot before the next pack; `left` is when the slot before it ended, and the time of the last pack began."""
    ends = now + max(SLICE_S, SHARE * (now - left))
    return Slot(admits_until=ends, ends=ends)


@dataclass(frozen=True)
class Standing:
    """How things stand in a slot."""

    now: float
    stopped: bool  # the worker is to stop
    live: int  # replies under way
    full: bool  # the KV cache had no room for the last reply that was to join, and none has ended since
    looked: float  # when the store was last asked whether replies wait; -inf: not yet in this slot
    waiting: bool | None  # what it answered; None: it wasn't asked since the last step
    most: int = MOST_LIVE  # replies at a time of the held model: fewer once memory was too short for as many


class Act(Enum):
    """What to do next."""

    LOOK = auto()  # ask the store whether replies wait for the held model
    STEP = auto()  # one decode step: a token more for every reply whose prompt has been read
    HAND_BACK = auto()  # give the replies under way to other workers
    LEAVE = auto()  # the slot is over; replies under way pause


@dataclass(frozen=True)
class Admit:
    """Claim up to `most` waiting replies, and let them join."""

    most: int


def next_act(slot: Slot, standing: Standing) -> Act | Admit:
    """What a worker does next in a slot, until it is to leave it.

    Every look is followed by a step, unless no reply is under way: neither arrivals nor a slow store hold up replies
    that are being made.
    """
    if standing.stopped:
        return Act.HAND_BACK if standing.live else Act.LEAVE
    if standing.waiting is None:
        if standing.now >= slot.ends:
            return Act.LEAVE
        if _look_is_due(slot, standing):
            return Act.LOOK
    elif standing.waiting:
        return Admit(standing.most - standing.live)
    return Act.STEP if standing.live else Act.LEAVE


def _look_is_due(slot: Slot, standing: Standing) -> bool:
    if standing.now >= slot.admits_until:
        return False
    if not standing.live:  # no step waits for the look; alone any reply fits
        return True
    return standing.live < standing.most and not standing.full and standing.now >= standing.looked + LOOK_S


def is_worth_a_load(wanted: Lane, held: Lane | None, waited_s: float, least_s: float) -> bool:
    """Whether to load a model that a reply has waited for so long: the held one takes its replies in anyway."""
    return wanted != held and waited_s >= least_s


def listens(now: float, ended: float) -> bool:
    """Whether a worker without work listens for the next message, after the last reply `ended`."""
    return now < ended + LINGER_S
