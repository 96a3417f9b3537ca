"""Find the open input requests of a project.

Revision ID: 0016
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the index."""
    execute_file("0016_open_input_requests.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP INDEX input_requests_open")
