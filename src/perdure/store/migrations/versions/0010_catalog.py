"""What workers serve: inputs, versions.

Revision ID: 0010
"""

from __future__ import annotations

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop everything this revision made."""
