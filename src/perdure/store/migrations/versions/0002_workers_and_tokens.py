"""External workers, their sessions, and the server's signing key.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0002_workers_and_tokens.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP INDEX run_queue_due_external")
    op.execute("DROP TABLE signing_keys, agent_worker_sessions, agent_workers")
