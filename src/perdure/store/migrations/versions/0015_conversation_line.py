"""What becomes of a new run while another one of its conversation is live.

Revision ID: 0015
"""

from __future__ import annotations

from alembic import op

from perdure.store.migrations.statements import execute_file, execute_whole

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the policy, the line and the trigger that moves it on."""
    execute_file("0015_conversation_line.sql")
    execute_whole("0015_conversation_moves_on.sql")
    execute_file("0015_conversation_moves_on_trigger.sql")


def downgrade() -> None:
    """Drop everything this revision made; runs in line are due at once."""
    op.execute("UPDATE run_queue SET available_at = now(), place_again_at = NULL WHERE available_at = 'infinity'")
    op.execute("DROP TRIGGER conversation_moves_on ON run_head")
    op.execute("DROP FUNCTION conversation_moves_on()")
    op.execute("DROP TABLE conversation_line")
    op.execute("ALTER TABLE conversations DROP COLUMN run_policy")
