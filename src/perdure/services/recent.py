"""A small memory of answers, bounded, that forgets what was not asked for longest."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `room` values by key. Belongs to one event loop."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._values: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, which counts as asked for now; None where there is none."""
        value = self._values.pop(key, None)
        if value is not None:
            self._values[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Remember a value, in place of the least recent one when the room is used up."""
        self._values.pop(key, None)
        if len(self._values) >= self._room:
            del self._values[next(iter(self._values))]
        self._values[key] = value

    def forget(self, key: K) -> None:
        """Forget one value, if it is there."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
