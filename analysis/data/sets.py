"""Which set of several something is about: panels that may not be compared stand side by side, each under its name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.data.panel import Panel
from analysis.data.phrases import listed
from analysis.data.shots import shots_range
from analysis.data.tables import Column, Table
from analysis.data.terms import Terms


def set_names(panels: Sequence[Panel]) -> tuple[str, ...]:
    """A name for each panel, such as `Set 2: mmlu, 0 shots, …`; empty names where there is a single one.

    Of sets under the same terms it says which contents of which exams are in it, and how many shots were shown. Where
    each is of another benchmark, it is called by that: `gsm8k: 5 shots, …`.
    """
    if len(panels) == 1:
        return ("",)
    if each_a_benchmark(panels):
        return tuple(f"{one.terms.benchmark}: {str(one.terms).partition(', ')[2]}" for one in panels)
    return tuple(
        f"Set {place + 1}: {'; '.join([str(panel.terms), *_what_differs(panels, place)])}"
        for place, panel in enumerate(panels)
    )


def each_a_benchmark(panels: Sequence[Panel]) -> bool:
    """Whether the sets are told apart by their benchmarks: no two of one, none imported, none of a judge."""
    benchmarks = [panel.terms.benchmark for panel in panels]
    ours = not any(panel.terms.imported or panel.terms.judge_name for panel in panels)
    return ours and len(set(benchmarks)) == len(benchmarks)


def _what_differs(panels: Sequence[Panel], place: int) -> Iterator[str]:
    """What sets this panel apart from the others under the same terms, of which the newest contents come first."""
    panel = panels[place]
    newer, older = (
        {s for s, content in panel.exams.items() for one in among if _has_other(one, panel.terms, s, content)}
        for among in (panels[:place], panels[place + 1 :])
    )
    if older - newer:
        yield f"newest content of {listed(sorted(older - newer))}"
    if newer:
        yield f"older content of {listed(sorted(newer))}"
    if panel.shots_short.any():
        yield f"{shots_range(panel)} shots shown, as many as a window held"
    alike = [number for number, one in enumerate(panels[:place], start=1) if str(one.terms) == str(panel.terms)]
    if alike and not newer and not panel.shots_short.any():
        yield f"kept apart from set {alike[0]}"


def _has_other(one: Panel, terms: Terms, subject: str, content: str) -> bool:
    return one.terms == terms and one.exams.get(subject, content) != content


def short(name: str) -> str:
    """`Set 2` of a set's name, or its benchmark."""
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
