"""What a turn has said so far, as AG-UI messages: for a client that must forget something, or that comes back.

Messages are put together from events as AG-UI's own client does it: a tool call belongs to the message that it names,
which it begins if need be, and a result follows the message of its call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from perdure.domain.fold import SUPERSEDED

Event = dict[str, Any]


class History:
    """The messages of one turn, event by event."""

    def __init__(self) -> None:
        self._messages: dict[str, Event] = {}
        self._calls: dict[str, Event] = {}
        self._owners: dict[str, str] = {}
        self.ids: set[str] = set()

    def add(self, event: Event) -> None:
        """Take in the next event, in the form in which clients get it."""
        handler = _HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event)

    def messages(self) -> list[Event]:
        """The messages so far, in AG-UI's order."""
        return list(self._messages.values())

    def _message(self, name: str, role: str) -> Event:
        self.ids.add(name)
        return self._messages.setdefault(name, {"id": name, "role": role})

    def _start(self, event: Event) -> None:
        self._message(event["messageId"], event.get("role", "assistant")).setdefault("content", "")

    def _start_reasoning(self, event: Event) -> None:
        self._message(event["messageId"], "reasoning").setdefault("content", "")

    def _content(self, event: Event) -> None:
        message = self._messages.get(event["messageId"])
        if message is not None:
            message["content"] = message.get("content", "") + event["delta"]

    def _call(self, event: Event) -> None:
        call_id = event["toolCallId"]
        owner = event.get("parentMessageId") or call_id
        call = {"id": call_id, "type": "function", "function": {"name": event["toolCallName"], "arguments": ""}}
        self._message(owner, "assistant").setdefault("toolCalls", []).append(call)
        self._calls[call_id], self._owners[call_id] = call, owner

    def _arguments(self, event: Event) -> None:
        call = self._calls.get(event["toolCallId"])
        if call is not None:
            call["function"]["arguments"] += event["delta"]

    def _result(self, event: Event) -> None:
        name = event["messageId"]
        self.ids.add(name)
        self._messages.pop(name, None)
        made = {"id": name, "role": "tool", "toolCallId": event["toolCallId"], "content": event["content"]}
        order = list(self._messages)
        owner = self._owners.get(event["toolCallId"])
        place = order.index(owner) + 1 if owner in self._messages else len(order)
        while place < len(order) and self._messages[order[place]]["role"] == "tool":
            place += 1
        items = list(self._messages.items())
        self._messages = dict([*items[:place], (name, made), *items[place:]])

    def _custom(self, event: Event) -> None:
        value = event.get("value")
        if event.get("name") != SUPERSEDED or not isinstance(value, dict):
            return
        self._messages.pop(str(value.get("messageId")), None)
        for call_id in value.get("toolCallIds") or ():
            self._take_back(str(call_id))

    def _take_back(self, call_id: str) -> None:
        owner = self._messages.get(self._owners.get(call_id, ""))
        if owner is not None and "toolCalls" in owner:
            owner["toolCalls"] = [call for call in owner["toolCalls"] if call["id"] != call_id]
        self._messages = {name: made for name, made in self._messages.items() if made.get("toolCallId") != call_id}


_HANDLERS: Final[Mapping[str, Callable[[History, Event], None]]] = MappingProxyType(
    {
        "TEXT_MESSAGE_START": History._start,
        "TEXT_MESSAGE_CONTENT": History._content,
        "REASONING_MESSAGE_START": History._start_reasoning,
        "REASONING_MESSAGE_CONTENT": History._content,
        "TOOL_CALL_START": History._call,
        "TOOL_CALL_ARGS": History._arguments,
        "TOOL_CALL_RESULT": History._result,
        "CUSTOM": History._custom,
    }
)
