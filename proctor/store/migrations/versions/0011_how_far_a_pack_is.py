"""How far the pack is that a Run's worker writes

No table is copied: a Run of an earlier release tells nothing of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = ("pack_made", "pack_size")


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("run", sa.Column(column, sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_column("run", column)
