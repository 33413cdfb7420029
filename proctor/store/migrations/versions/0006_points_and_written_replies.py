"""Points between 0 and 1, written replies, and questions without options

No table is copied: what has no key is -1, what has no log-probabilities is empty, what is right is worth 1 unsaid.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from proctor.store.database.column_types import TokenIds

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("question", sa.Column("reference", sa.String(), nullable=False, server_default=""))
    op.add_column("question", sa.Column("turns", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("run", sa.Column("partial", sa.Float(), nullable=False, server_default="0"))
    op.add_column("answer", sa.Column("partial", sa.Float(), nullable=True))
    op.add_column("answer", sa.Column("extracted", sa.String(), nullable=True))
    op.create_table(
        "written",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("question_id", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("token_ids", TokenIds(), nullable=False),
        sa.Column("finish", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "question_id"],
            ["answer.run_id", "answer.question_id"],
            name=op.f("fk_written_run_id_question_id"),
        ),
        sa.PrimaryKeyConstraint("run_id", "question_id", "turn", name=op.f("pk_written")),
    )


def downgrade() -> None:
    op.drop_table("written")
    for column in ("extracted", "partial"):
        op.drop_column("answer", column)
    op.drop_column("run", "partial")
    for column in ("turns", "reference"):
        op.drop_column("question", column)
