"""Input requests: what runs ask people.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    execute_file("0003_input_requests.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TABLE input_requests")
