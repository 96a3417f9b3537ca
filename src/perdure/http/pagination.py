"""Pages: `page_info`, and the opaque cursor of lists that are ordered by time (veryfront.md 1.3)."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

import msgspec

from perdure.domain.errors import InvalidRequest


class PageInfo(msgspec.Struct, frozen=True):
    """Where a page stands. All four members are always there, and `first` is null (veryfront.md 1.3)."""

    self: str | None
    next: str | None
    first: None = None
    prev: None = None


class _Keyset(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    created_at: datetime
    run_id: str


def encode_cursor(created_at: datetime, run_id: str) -> str:
    """The cursor of the page after the run of that time and id."""
    return urlsafe_b64encode(msgspec.json.encode(_Keyset(created_at, run_id))).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, str]:
    """What `encode_cursor` was given. Raises InvalidRequest for anything else."""
    try:
        read = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=_Keyset)
    except (ValueError, msgspec.MsgspecError):
        raise _unknown() from None
    if read.created_at.tzinfo is None or "\x00" in read.run_id:
        raise _unknown()
    return read.created_at, read.run_id


def _unknown() -> InvalidRequest:
    return InvalidRequest("The query parameter `cursor` must be one that a page before this one gave.")
