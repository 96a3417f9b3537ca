"""Stories of any length, the same for the same seed."""

from __future__ import annotations

from random import Random
from typing import Final

_HEROES: Final = (
    "the keeper", "a young cartographer", "the old ferryman", "her sister", "the miller", "a stranger from the north",
    "the smallest fox", "the watchmaker", "the captain",
)  # fmt: skip
_VERBS: Final = (
    "wrote down", "remembered", "carried home", "looked for", "repaired", "drew", "gave away", "found", "hid",
    "sang about", "waited for", "counted",
)  # fmt: skip
_THINGS: Final = (
    "every ship that passed", "the light on the water", "a letter without a name", "the song of the bells",
    "seven grey stones", "a map of the tides", "what the wind had said", "the last apple of the year",
    "the broken clock",
)  # fmt: skip
_TIMES: Final = (
    "before sunrise", "while the snow fell", "that evening", "as on every night", "after the storm",
    "when nobody was looking", "for the first time", "in silence",
)  # fmt: skip
_JOINTS: Final = ("And so", "Meanwhile", "Later", "Nobody knew why, but", "Still", "In the end")
_TITLES: Final = (
    "The lamp", "The ferry", "A letter", "The tide", "The bells", "Seven stones", "The storm", "The clock", "The map",
    "The road north", "A light", "The morning",
)  # fmt: skip


def chapter_title(seed: int, number: int) -> str:
    """The title of a chapter, counted from 1. No two of the first twelve of a story are the same."""
    titles = list(_TITLES)
    Random(seed).shuffle(titles)
    return titles[(number - 1) % len(titles)]


def chapter(seed: int, number: int, length: int) -> list[str]:
    """A chapter as about `length` tokens (words, with the space before them); joined they are its text.

    The heading is the first of them. It ends with a whole sentence, so it may be some tokens longer.
    """
    tokens = [f"{number}. {chapter_title(seed, number)}.\n\n"]
    # Mixed, so that neighbouring seeds have nothing in common.
    random = Random(seed * 1_000_003 + number)
    while len(tokens) < length:
        first, *rest = _sentence(random).split(" ")
        tokens += [f" {first}" if len(tokens) > 1 else first, *(f" {word}" for word in rest)]
    return tokens


def _sentence(random: Random) -> str:
    said = " ".join(random.choice(phrases) for phrases in (_HEROES, _VERBS, _THINGS, _TIMES))
    if random.random() < 1 / 3:
        return f"{random.choice(_JOINTS)} {said}."
    return f"{said[0].upper()}{said[1:]}."
