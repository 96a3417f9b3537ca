"""Which pending runs the Temporal engine has been told of.

Revision ID: 0013
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column and its indexes."""
    execute_file("0013_placements.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP INDEX run_queue_unplaced, run_queue_placed")
    op.execute("ALTER TABLE run_queue DROP COLUMN place_again_at")
