"""Webhooks, the deliveries that started runs, and the deadlines of runs.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables and the index."""
    execute_file("0006_webhooks.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TABLE webhook_deliveries, webhooks")
    op.execute("DROP INDEX runs_deadline")
