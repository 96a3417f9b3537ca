"""The load generators. Each runs in a process of its own, so that its work is not the harness's, nor the server's."""

from __future__ import annotations
