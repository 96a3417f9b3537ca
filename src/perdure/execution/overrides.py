"""What a request says about how its agent runs: `model`, `tools` of the client, `context` and `runtime_overrides`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class ClientTool:
    """A tool that the client executes. `parameters` is a JSON schema."""

    name: str
    description: str | None
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Overrides:
    """None: the agent's own setting holds. `thinking` is False (off) or a budget in tokens."""

    model: str | None = None
    allowed_tools: frozenset[str] | None = None
    excluded_tools: frozenset[str] = frozenset()
    thinking: int | bool | None = None
    max_steps: int | None = None
    tools: tuple[ClientTool, ...] = ()
    context: str | None = None


def overrides_of(request: Mapping[str, object]) -> Overrides:
    """The overrides of a run's input, which was validated when the run was created (veryfront.md 1.2)."""
    runtime = request.get("runtime_overrides")
    runtime = runtime if isinstance(runtime, Mapping) else {}
    model, allowed = request.get("model"), runtime.get("allowed_tools")
    excluded = runtime.get("excluded_tools")
    thinking, steps = runtime.get("thinking"), runtime.get("max_steps")
    return Overrides(
        model=model if isinstance(model, str) and model else None,
        allowed_tools=frozenset(map(str, allowed)) if isinstance(allowed, list) else None,
        excluded_tools=frozenset(map(str, excluded)) if isinstance(excluded, list) else frozenset(),
        thinking=thinking if isinstance(thinking, int) else None,
        max_steps=steps if isinstance(steps, int) and not isinstance(steps, bool) else None,
        tools=_tools(request.get("tools")),
        context=_context(request.get("context")),
    )


def _tools(value: object) -> tuple[ClientTool, ...]:
    found = (_tool(tool) for tool in value) if isinstance(value, list) else ()
    return tuple(tool for tool in found if tool is not None)


def _tool(value: object) -> ClientTool | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    schema = next((value[key] for key in ("parameters", "inputSchema", "input_schema") if value.get(key)), None)
    description = value.get("description")
    return ClientTool(
        name=value["name"],
        description=description if isinstance(description, str) else None,
        parameters=schema if isinstance(schema, Mapping) else {"type": "object", "properties": {}},
    )


def _context(value: object) -> str | None:
    """The client's context for the model: AG-UI's descriptions and values, or text, json and resource items.

    An object is about the run's place, not for the model.
    """
    lines = [line for item in value if (line := _context_item(item))] if isinstance(value, list) else []
    return "\n\n".join(("Context from the application:", *lines)) if lines else None


def _context_item(item: object) -> str | None:
    if not isinstance(item, Mapping):
        return None
    title = next((str(item[key]) for key in ("description", "title", "name") if item.get(key)), None)
    named = next((key for key in ("value", "text", "json", "data", "uri") if item.get(key) is not None), "")
    body = item.get(named)
    if title is None and named != "uri" and item.get("uri"):
        title = str(item["uri"])
    if body is None:
        return title
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    return f"{title}:\n{text}" if title else text
