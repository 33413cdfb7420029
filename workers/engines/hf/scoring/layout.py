"""The layout and attention masks of a packed row: where its questions stand, and what each of their tokens sees.

Shapes: J heads of keys and values, N tokens of the row, P of the prefix, D a head's width, B questions of a group, L
tokens of its longest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from workers.engines.hf.scoring import varlen

_HIDDEN = -1e30  # added to a score: its weight is 0 beside any other, and a row of nothing else stays finite
_UNLIKE = 1.25  # how much longer than its shortest question a group's longest may be


@dataclass(frozen=True)
class Segment:
    """One question's place in a row: `stem` tokens of its own, then branches of these lengths behind them."""

    stem: int  # at least 1
    branches: tuple[int, ...] = ()

    @property
    def length(self) -> int:
        return self.stem + sum(self.branches)


@dataclass(frozen=True)
class LayerPrefix:
    """One layer's keys and values of the prefix, each (1, J, P, D), and the layer's window in tokens."""

    key: torch.Tensor
    value: torch.Tensor
    window: int | None


@dataclass(frozen=True)
class Prefix:
    """What a Run's prompts begin with, computed once."""

    length: int
    layers: dict[int, LayerPrefix] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Questions that stand behind one another in the row and attend in one call, padded to the longest on the right.

    `start` is the first one's place in the row; `index` (B, L) are the places of all, with a question's last place for
    padding; `back` are the places of the flattened (B × L) that are no padding, in the row's order. `position` and
    `branch` (B, L) tell who sees whom: branch 0 is the question itself, which its branches 1, 2, … all see; no branch
    sees another.
    """

    start: int
    index: torch.Tensor
    back: torch.Tensor
    position: torch.Tensor
    branch: torch.Tensor
    padded: bool
    branched: bool


class CascadeLayout:
    """A row's layout, and the prefix it stands behind. Masks are made once for all layers with the same window.

    With `recording`, the row itself is a prefix to be: each layer's keys and values are kept in `prefix.layers`.
    """

    def __init__(self, segments: Sequence[Segment], prefix: Prefix, device: torch.device, *, recording: bool = False):
        self.prefix, self.recording = prefix, recording
        self.shared = 0 if recording else prefix.length
        self.segments, self.device = tuple(segments), device
        self.groups = tuple(_group(part, start, self.shared, device) for start, part in _parts(segments))
        self.branched = any(group.branched for group in self.groups)
        self._longest = self.shared + max(one.stem + max(one.branches, default=0) for one in self.segments)
        self._position = torch.cat([group.position.flatten()[group.back] for group in self.groups])  # (N,)
        self._masks: dict[tuple[int, int | None], torch.Tensor] = {}
        self._elsewhere: dict[torch.device, CascadeLayout] = {}

    @cached_property
    def lines(self) -> varlen.Bounds:
        """Where the questions begin and end in the row."""
        return varlen.bounds([segment.length for segment in self.segments], self.device)

    def on(self, device: torch.device) -> CascadeLayout:
        """The same layout on another device: the layers of a large model lie on several."""
        if device == self.device:
            return self
        if device not in self._elsewhere:
            self._elsewhere[device] = CascadeLayout(self.segments, self.prefix, device, recording=self.recording)
        return self._elsewhere[device]

    def narrowed(self, window: int | None) -> int | None:
        """The window, or None where no token of the row stands that far behind another."""
        return window if window is not None and window < self._longest else None

    def own_mask(self, number: int, window: int | None) -> torch.Tensor | None:
        """(B, 1, L, L), to be added to group `number`'s scores; None where it is plainly causal."""
        group = self.groups[number]
        if window is None and not group.branched:
            return None
        if (number, window) not in self._masks:
            self._masks[number, window] = _own_mask(group, window)
        return self._masks[number, window]

    def prefix_mask(self, window: int, reads: torch.Tensor | None = None) -> torch.Tensor:
        """(1, 1, N, keys), to be added to the scores of the prefix's last `window - 1` tokens; or of `reads`."""
        if (-1, window) not in self._masks:
            keys = torch.arange(max(0, self.shared - window + 1), self.shared, device=self._position.device)
            far = self._position[:, None] - keys >= window
            self._masks[-1, window] = additive(far)[None, None]
        mask = self._masks[-1, window]
        return mask if reads is None else mask[:, :, reads]


def _parts(segments: Sequence[Segment]) -> list[tuple[int, list[Segment]]]:
    """Neighbours of about one length, with the place of the first in the row."""
    parts: list[tuple[int, list[Segment]]] = []
    place = 0
    for segment in segments:
        lengths = [one.length for one in parts[-1][1]] if parts else []
        if parts and max(*lengths, segment.length) <= _UNLIKE * min(*lengths, segment.length):
            parts[-1][1].append(segment)
        else:
            parts.append((place, [segment]))
        place += segment.length
    return parts


def _group(segments: Sequence[Segment], start: int, shared: int, device: torch.device) -> Group:
    longest = max(segment.length for segment in segments)
    index: list[list[int]] = []
    position: list[list[int]] = []
    branch: list[list[int]] = []
    back: list[int] = []
    first = start
    for b, segment in enumerate(segments):
        fill = longest - segment.length
        places, branches = list(range(shared, shared + segment.stem)), [0] * segment.stem
        for number, length in enumerate(segment.branches, start=1):
            places += range(shared + segment.stem, shared + segment.stem + length)
            branches += [number] * length
        index.append([*range(start, start + segment.length), *[start + segment.length - 1] * fill])
        position.append(places + places[-1:] * fill)
        branch.append(branches + branches[-1:] * fill)
        back += range(b * longest, b * longest + segment.length)
        start += segment.length
    return Group(
        start=first,
        index=torch.tensor(index, device=device),
        back=torch.tensor(back, device=device),
        position=torch.tensor(position, device=device),
        branch=torch.tensor(branch, device=device),
        padded=len(back) < longest * len(segments),
        branched=any(segment.branches for segment in segments),
    )


def _own_mask(group: Group, window: int | None) -> torch.Tensor:
    later = torch.ones(group.index.shape[1], group.index.shape[1], device=group.index.device).triu(1).bool()
    of_key, of_query = group.branch[:, None, :], group.branch[:, :, None]
    hidden = later | ((of_key != 0) & (of_key != of_query))
    if window is not None:
        hidden |= group.position[:, :, None] - group.position[:, None, :] >= window
    return additive(hidden)[:, None]


def additive(hidden: torch.Tensor) -> torch.Tensor:
    """What to add to scores so that none of the `hidden` ones counts."""
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, _HIDDEN)
