"""Large Runs are sat in parts, a row each; a Run of an earlier release is one row, as it was

No table is copied. Where a part begins stands in its `conditions`, which an earlier release then can't read: it leaves
the part alone rather than sit the whole exam for it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("part_of", sa.Integer(), nullable=True))
    op.create_index("ix_run_part_of", "run", ["part_of"])


def downgrade() -> None:
    op.drop_index("ix_run_part_of", "run")
    op.drop_column("run", "part_of")
