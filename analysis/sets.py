"""Which set of several something is about: panels that may not be compared stand side by side, each under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from analysis.panel import Panel
from analysis.tables import Column, Table


def set_names(panels: Sequence[Panel]) -> tuple[str, ...]:
    """A name for each panel, such as `Set 2: mmlu, 0 shots, …`; empty names where there is a single one."""
    if len(panels) == 1:
        return ("",)
    names: list[str] = []
    terms = [str(panel.terms) for panel in panels]
    for place, said in enumerate(terms):
        alike = terms.index(said)
        other = f"; other exam content than set {alike + 1}" if alike < place else ""
        names.append(f"Set {place + 1}: {said}{other}")
    return tuple(names)


def short(name: str) -> str:
    """`Set 2` of a set's name."""
    return name.partition(":")[0]


def scoped(sentences: Sequence[str], name: str) -> tuple[str, ...]:
    """Sentences that each say which set they speak of."""
    return tuple(f"{short(name)}: {sentence}" if name else sentence for sentence in sentences)


def of_set(table: Table, name: str) -> Table:
    """The table as one of a set of this name."""
    return replace(table, of_set=name)


def with_sets(table: Table, sets: Sequence[str]) -> Table:
    """The table with a last column that names each row's set."""
    rows = [(*row, one) for row, one in zip(table.rows, sets, strict=True)]
    return replace(table, columns=(*table.columns, Column("set")), rows=rows)
