"""Exams in a form of their own: how they are put and judged, examples drawn for each question, several right choices

No table is copied: what an earlier release stored has none of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LISTS = ("further", "contexts", "shots")


def upgrade() -> None:
    op.add_column("exam", sa.Column("form", sa.String(), nullable=False, server_default=""))
    op.add_column("question", sa.Column("opening", sa.String(), nullable=False, server_default=""))
    for column in LISTS:
        op.add_column("question", sa.Column(column, sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    for column in (*LISTS, "opening"):
        op.drop_column("question", column)
    op.drop_column("exam", "form")
