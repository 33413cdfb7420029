"""What servers counted, and what that cost where a price was given: of Runs whose models a server has."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from analysis.data.groups import names_of
from analysis.data.results import Results
from analysis.data.tables import Column, Table, number
from proctor.catalog.endpoint import PRICED, Price
from proctor.nouns.models import ModelSource
from proctor.nouns.runs import Measures

CAPTION = (
    "Tokens that servers counted, and what they cost by the price that was given (of a million tokens read, and "
    "written); tokens of attempts that were lost are not among them."
)


@dataclass(frozen=True)
class _Counted:
    """Tokens of some Runs of one contestant, at one price."""

    read: int = 0
    cached: int = 0
    written: int = 0

    def __add__(self, more: Measures) -> _Counted:
        read = more.tokens_computed - more.tokens_written + more.tokens_saved
        return _Counted(
            self.read + read, self.cached + more.tokens_saved, self.written + more.tokens_written
        )  # fmt: skip


def server_costs_table(results: Results) -> Table | None:
    """A row a contestant and price; None where no server was asked."""
    names = names_of(results.records)
    counted: dict[tuple[str, str], _Counted] = defaultdict(_Counted)
    for record in results.records:
        if (
            record.spec.model.source is ModelSource.ENDPOINT
            and record.measures is not None
            and record.provenance is not None
        ):
            key = names[record.run_id], record.provenance.versions.get(PRICED, "")
            counted[key] += record.measures
    if not counted:
        return None
    columns = (
        Column("contestant"), Column("tokens read", numeric=True), Column("of them cached", numeric=True),
        Column("tokens written", numeric=True), Column("price"), Column("cost", number(4), numeric=True),
    )  # fmt: skip
    rows = [
        (name, one.read, one.cached, one.written, price, _cost(one, price)) for (name, price), one in counted.items()
    ]
    return Table("costs_of_servers", CAPTION, columns, rows)


def _cost(counted: _Counted, price: str) -> float | None:
    return Price.parse(price).of(counted.read, counted.written) if price else None
