"""What a report is made of, before it is HTML or Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from analysis.data.tables import Table
from analysis.graphs.style import Graph


@dataclass(frozen=True)
class Text:
    """A paragraph of plain words."""

    words: str


@dataclass(frozen=True)
class Bullets:
    """A list of plain sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Folded:
    """Detail that is there on demand: closed at first, opened when printed."""

    summary: str
    blocks: tuple[Block, ...]


Block = Text | Bullets | Folded | Table | Graph


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it. `anchor` is its id on the page."""

    anchor: str
    heading: str
    blocks: tuple[Block, ...]
    link: str = ""  # what the list of sections calls it; by default its heading

    @property
    def called(self) -> str:
        return self.link or self.heading

    def graphs(self) -> Iterator[Graph]:
        """Every graph in it, folded ones too."""
        return (block for block in flat(self.blocks) if isinstance(block, Graph))

    def tables(self) -> Iterator[Table]:
        """Every table in it, folded ones too."""
        return (block for block in flat(self.blocks) if isinstance(block, Table))


def flat(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """The blocks, and those folded inside them."""
    for block in blocks:
        yield block
        if isinstance(block, Folded):
            yield from flat(block.blocks)
