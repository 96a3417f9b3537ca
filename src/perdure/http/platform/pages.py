"""The page of a list that is answered whole."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field


class PageInfo(BaseModel):
    """Cursors, as every list of the protocol has them (veryfront.md 1.3); all are null in a list that is whole."""

    model_config = ConfigDict(frozen=True)

    self_: str | None = Field(serialization_alias="self")
    first: str | None
    next: str | None
    prev: str | None


WHOLE: Final = PageInfo(self_=None, first=None, next=None, prev=None)
