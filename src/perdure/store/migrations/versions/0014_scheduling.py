"""Priority, earliest start and deadline of a run; limits of what is executed at once; a claim that is fair to projects.

Revision ID: 0014
"""

from __future__ import annotations

from perdure.store.migrations.statements import execute_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns, the views and the claim's index."""
    execute_file("0014_scheduling.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    execute_file("0014_scheduling_back.sql")
