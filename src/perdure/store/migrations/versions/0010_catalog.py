"""What workers serve: inputs, versions; and the times at which waiting runs go on.

Revision ID: 0010
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0010_catalog.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TABLE run_timers")
    op.execute("ALTER TABLE run_head DROP COLUMN version")
    op.execute("ALTER TABLE workers DROP COLUMN version")
    op.execute("ALTER TABLE catalog DROP COLUMN description, DROP COLUMN version, DROP COLUMN input_schema")
