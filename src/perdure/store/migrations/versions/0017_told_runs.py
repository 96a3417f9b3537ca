"""Count what an engine outside the database has before it.

Revision ID: 0017
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Create the index."""
    execute_file("0017_told_runs.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP INDEX run_queue_told")
