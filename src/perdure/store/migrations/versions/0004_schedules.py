"""Schedules, and the runs that they started.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0004_schedules.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TABLE schedule_runs, schedules")
