"""Pausing, what a Run needs, what a worker can and won't do, and every attempt's traceback"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sweep", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sweep", sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("run", sa.Column("needs_bytes", sa.BigInteger(), nullable=True))
    op.drop_index("ix_run_status_lane_sweep_id", table_name="run")
    op.create_index("ix_run_status_lane_sweep_id_needs_bytes", "run", ["status", "lane", "sweep_id", "needs_bytes"])
    op.add_column("attempt", sa.Column("traceback", sa.String(), nullable=False, server_default=""))
    op.add_column("worker", sa.Column("quants", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("worker", sa.Column("versions", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("worker", sa.Column("waits_for", sa.String(), nullable=False, server_default=""))
    op.create_table(
        "refusal",
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", "lane", "run_id", name=op.f("pk_refusal")),
    )


def downgrade() -> None:
    op.drop_table("refusal")
    op.drop_index("ix_run_status_lane_sweep_id_needs_bytes", table_name="run")
    op.create_index("ix_run_status_lane_sweep_id", "run", ["status", "lane", "sweep_id"])
    for table, column in (
        ("worker", "waits_for"),
        ("worker", "versions"),
        ("worker", "quants"),
        ("attempt", "traceback"),
        ("run", "needs_bytes"),
        ("sweep", "served_at"),
        ("sweep", "paused_at"),
    ):
        op.drop_column(table, column)
