"""Batches of tasks.

Revision ID: 0011
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0011_batches.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP INDEX runs_by_batch")
    op.execute("DROP TABLE batches")
