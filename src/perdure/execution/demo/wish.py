"""What a prompt asks the scripted `demo` agent for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Final
from zlib import crc32

TOKENS_PER_SECOND: Final = 20
"""The pace of a long story."""

_USUAL_SECONDS: Final = 40.0
_MOST_SECONDS: Final = 3_600.0
_CHAPTER_SECONDS: Final = 5.0
_MOST_CHAPTERS: Final = 12
"""Each is one request to the model, and a run may make 50."""

_FAIL: Final = re.compile(r"\bfail\b", re.IGNORECASE)
_APPROVAL: Final = re.compile(r"\b(?:approv\w*|send\w*|e-?mail\w*)", re.IGNORECASE)
_SLOW: Final = re.compile(r"\blong\W+(?:\w+\W+){0,3}story\b|\bslow(?:ly)?\b", re.IGNORECASE)
_DURATION: Final = re.compile(r"\bfor\s+(\d{1,6}(?:\.\d{1,3})?)\s*(s|secs?|seconds?|m|mins?|minutes?)\b", re.IGNORECASE)
_SEED: Final = re.compile(r"\bseed\W{0,2}\s*(\d{1,9})\b", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{0,251}\w")


@dataclass(frozen=True, slots=True)
class Story:
    """A long story: `chapters` of about `chapter_tokens` tokens each. The same seed gives the same text."""

    seed: int
    chapters: int
    chapter_tokens: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What to do besides planning and looking things up. `mail_to` is the address, when something is to be sent."""

    fail: bool
    story: Story | None
    mail_to: str | None


def wish_of(prompt: str) -> Wish:
    """Reads a prompt: "fail", "a long story", "slowly", "for 10 seconds", "seed 7", "send", "ask for my approval"."""
    address = _ADDRESS.search(prompt)
    mail_to = (address[0] if address else "you@example.com") if _APPROVAL.search(prompt) else None
    return Wish(fail=_FAIL.search(prompt) is not None, story=_story(prompt), mail_to=mail_to)


def _story(prompt: str) -> Story | None:
    duration = _DURATION.search(prompt)
    if duration is None and not _SLOW.search(prompt):
        return None
    seconds = _seconds(duration) if duration else _USUAL_SECONDS
    seed = _SEED.search(prompt)
    chapters = min(_MOST_CHAPTERS, max(1, ceil(seconds / _CHAPTER_SECONDS)))
    return Story(
        seed=int(seed[1]) if seed else crc32(prompt.encode(errors="replace")),
        chapters=chapters,
        chapter_tokens=max(1, round(seconds * TOKENS_PER_SECOND / chapters)),
    )


def _seconds(duration: re.Match[str]) -> float:
    unit = 60.0 if duration[2].lower().startswith("m") else 1.0
    return min(_MOST_SECONDS, float(duration[1]) * unit)
