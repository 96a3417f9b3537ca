"""Batches of tasks, and what tasks leave behind.

Revision ID: 0011
"""

from __future__ import annotations

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop everything this revision made."""
