"""Which server a command talks to, and with which key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import typer

from perdure.cli.dev_access import DevAccess, read_dev_access

DEFAULT_URL: Final = "http://127.0.0.1:4000"
DEFAULT_DATA_DIR: Final = Path(".perdure")

_HERE: Final = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0"})


@dataclass(frozen=True, slots=True)
class Access:
    """What was said on the command line or in the environment; None is what was left open."""

    url: str | None = None
    api_key: str | None = None
    data_dir: Path = DEFAULT_DATA_DIR


@dataclass(frozen=True, slots=True)
class Target:
    """The server to ask."""

    url: str
    api_key: str | None


def access_of(context: typer.Context) -> Access:
    """What the root command was told."""
    access = context.find_object(Access)
    return access if access is not None else Access()


def target_of(access: Access) -> Target:
    """The server that is meant. Where no key is given, the dev server of the data folder lends its own.

    Its key goes to its own address only.
    """
    if access.api_key is not None:
        return Target(access.url or DEFAULT_URL, access.api_key)
    dev = read_dev_access(access.data_dir)
    if dev is None:
        return Target(access.url or DEFAULT_URL, None)
    if access.url is None:
        return Target(dev.url, dev.api_key)
    return Target(access.url, dev.api_key if _same_server(access.url, dev) else None)


def _same_server(url: str, dev: DevAccess) -> bool:
    return _origin(url) == _origin(dev.url)


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ("", "", None)
    return parts.scheme, "here" if host in _HERE else host, port or (443 if parts.scheme == "https" else 80)
