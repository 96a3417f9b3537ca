"""${message}

Revision ID: ${up_revision}
"""

from __future__ import annotations

from perdure.store.migrations.statements import execute_file

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """${message}"""


def downgrade() -> None:
    """Undo it."""
