"""What was measured on: figures mean nothing without it. No names, no paths."""

from __future__ import annotations

import asyncio
import os
import platform
from importlib.metadata import version
from pathlib import Path

import asyncpg

SETTINGS = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "max_connections",
)
PARTS = ("perdure", "asyncpg", "uvicorn", "uvloop", "httptools", "starlette")


def describe(dsn: str, data_dir: Path) -> dict[str, str]:
    """What to know about machine and software, by name."""
    server, settings = asyncio.run(_database(dsn))
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.machine()}, data on {_file_system(data_dir)}",
        "Load before": f"{os.getloadavg()[0]:.1f} processes on the average of a minute",
        "PostgreSQL": server,
        "Its settings": ", ".join(f"{name} {value}" for name, value in settings.items()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Software": ", ".join(f"{part} {version(part)}" for part in PARTS),
    }


async def _database(dsn: str) -> tuple[str, dict[str, str]]:
    connection = await asyncpg.connect(dsn)
    try:
        server = await connection.fetchval("SHOW server_version")
        rows = await connection.fetch(
            "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY ($1)", list(SETTINGS)
        )
    finally:
        await connection.close()
    found = {row["name"]: row["value"] for row in rows}
    return str(server), {name: found[name] for name in SETTINGS if name in found}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _file_system(folder: Path) -> str:
    """The type of the file system that holds a folder."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "an unknown file system"
    return max((len(place), kind) for place, kind in mounts if folder.is_relative_to(place))[1]
