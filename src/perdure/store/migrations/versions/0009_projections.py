"""Projections of the logs: search and calls.

Revision ID: 0009
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0009_projections.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP INDEX runs_ended")
    op.execute("DROP TABLE run_calls, run_texts, run_projections, projection_progress")
