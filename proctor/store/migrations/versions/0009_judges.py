"""Judges: whose replies a judge's Run is about

No table is copied: what an earlier release stored has no judge.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "brief",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("against_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_brief_run_id")),
        sa.ForeignKeyConstraint(["candidate_id"], ["run.id"], name=op.f("fk_brief_candidate_id")),
        sa.ForeignKeyConstraint(["against_id"], ["run.id"], name=op.f("fk_brief_against_id")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_brief")),
    )
    for column in ("candidate_id", "against_id"):
        op.create_index(op.f(f"ix_brief_{column}"), "brief", [column])


def downgrade() -> None:
    op.drop_table("brief")
