"""Artifacts: the files of runs.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the tables."""
    execute_file("0008_artifacts.sql")


def downgrade() -> None:
    """Drop everything this revision made."""
    op.execute("DROP TABLE server_secrets, artifacts, dead_blobs, blobs")
    op.execute("DROP FUNCTION blobs_come_loose()")
    op.execute("DROP SEQUENCE artifact_generations")
