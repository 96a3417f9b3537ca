"""The rows: each module measures one or two of them."""

from __future__ import annotations
