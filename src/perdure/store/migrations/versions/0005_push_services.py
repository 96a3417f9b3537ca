"""Push services, the runtimes that runs are handed to.

Revision ID: 0005
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file, execute_whole

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0005_push_services.sql")
    execute_whole("0005_push_run_moved.sql")
    execute_file("0005_push_run_trigger.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TRIGGER push_run_moved ON run_head")
    op.execute("DROP FUNCTION push_run_moved()")
    op.execute("DROP TABLE push_runs, push_services")
