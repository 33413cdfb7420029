"""The section on answer keys that look wrong."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.data.panel import Panel
from analysis.data.phrases import counted
from analysis.data.tables import Column, Table, number
from analysis.report.blocks import Section, Text
from analysis.verdicts.suspects import Suspect, suspects

MOST_SHOWN, LONGEST_TEXT = 25, 300
NO_OPTIONS = "Left out: models outvote a key by picking other options, and these questions have none."
SEVERAL = (
    "Left out: models outvote a key by picking another option, and some of these questions have several right ones."
)
ABOUT = (
    "These are leads, not verdicts: questions on which the models, weighted by their accuracy, vote for another option "
    "than the key. On published MMLU results about half of the questions on which 14 strong models agreed against the "
    "key were found erroneous by experts; weak models agree on wrong answers much more often. Read the question first."
)


def leads_section(panel: Panel) -> Section | None:
    """The table of suspect keys; None with fewer than three models, or where no key is outvoted.

    Without options, or with several right ones, a sentence says why there is none.
    """
    if not panel.has_keys:
        return Section("suspects", "Suspect answer keys", (Text(why_left_out([panel])),))
    found = suspects(panel)
    if not found:
        return None
    heading = f"{counted(len(found), 'answer key')} of {len(panel.questions):,} outvoted by the models."
    return Section("suspects", "Suspect answer keys", (Text(heading), Text(ABOUT), suspects_table(found)))


def why_left_out(panels: Sequence[Panel]) -> str:
    """Why no key of these panels can be outvoted."""
    return SEVERAL if any(panel.has_options for panel in panels) else NO_OPTIONS


def suspects_table(found: Sequence[Suspect]) -> Table:
    """A row a question, the most suspect first."""
    columns = (
        Column("question"), Column("subject"), Column("key"), Column("models prefer"), Column("votes, key first"),
        Column("score", number(2), numeric=True), Column("margin", number(2), numeric=True), Column("id"),
    )  # fmt: skip
    rows = [
        (_cut(s.text), s.subject, _cut(s.key, 120), _cut(s.rival, 120), s.votes, s.score, s.margin, s.question_id)
        for s in found
    ]
    return Table("suspects", "Leads, the most suspect first.", columns, rows, MOST_SHOWN)


def _cut(text: str, longest: int = LONGEST_TEXT) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
