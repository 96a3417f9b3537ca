"""Agents that are reached by a URL.

Revision ID: 0012
"""

from __future__ import annotations

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """Drop everything this revision made."""
