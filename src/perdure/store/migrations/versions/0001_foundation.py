"""Projects, keys, conversations, runs, the log, the queue.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    execute_file("0001_foundation.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP VIEW runs_whole, run_events_flat")
    op.execute("DROP TABLE workers, catalog, run_queue, run_events, run_head, runs")
    op.execute("DROP TABLE messages, conversations, api_keys, projects")
