"""AG-UI: turns of its clients, and agents that are reached by a URL.

Revision ID: 0012
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0012_remote_agents.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TABLE remote_agents, ag_ui_turns")
