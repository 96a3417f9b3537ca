"""Processor time of processes, as Linux tells it; elsewhere nothing is known."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def known() -> bool:
    """Whether this system tells."""
    return (_PROC / "self" / "stat").exists()


def seconds(pid: int) -> float:
    """What a process has used so far; nothing when it is gone."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def seconds_of_children(pid: int) -> float:
    """What the living children of a process have used so far."""
    found = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return sum(seconds(child) for child in found if _parent(child) == pid)


def _parent(pid: int) -> int | None:
    fields = _fields(pid)
    return int(fields[1]) if fields else None


def _fields(pid: int) -> list[str]:
    """The fields of proc_pid_stat(5) from `state` on: the name before it may hold anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
