"""Written replies remember the model's own mark behind which its thought ends

No table is copied: what an earlier release stored was never split by such a mark.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("written", sa.Column("think_end", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("written", "think_end")
