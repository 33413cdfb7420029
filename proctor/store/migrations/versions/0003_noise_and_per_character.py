"""What is right per character, and how far a Run's numbers move in other packs"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("correct_norm", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("run", sa.Column("check_noise", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("run", sa.Column("noise", sa.JSON(none_as_null=True), nullable=True))
    # All Runs so far were scored by letters, of one character each: per character the same is right.
    op.execute("UPDATE run SET correct_norm = correct")


def downgrade() -> None:
    for column in ("noise", "check_noise", "correct_norm"):
        op.drop_column("run", column)
