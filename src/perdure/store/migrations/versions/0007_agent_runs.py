"""What the Agent Runs API says of a run: who may see it, its names, and where it was forked from.

Revision ID: 0007
"""

from __future__ import annotations

from perdure.store.migrations.statements import execute_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Widen the runs, and the view that reads them."""
    execute_file("0007_agent_runs.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    execute_file("0007_agent_runs_back.sql")
