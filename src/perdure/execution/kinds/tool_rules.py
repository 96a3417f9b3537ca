"""Which tools a turn of a Pydantic AI agent has, and which of them ask first: what the caller said about its tools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, PrepareTools
from pydantic_ai.tools import ToolDefinition

from perdure.domain.agent_message import AVAILABLE_TOOLS
from perdure.domain.agent_signals import ApprovalMode
from perdure.execution.log import RunContext as Run
from perdure.execution.overrides import Overrides


def tool_rules(run: Run, overrides: Overrides) -> list[AbstractCapability[Any]]:
    """Capabilities that leave out tools, make others ask, and tell the run's clients of those that are left."""
    asks = run.profile.approval in (ApprovalMode.ASK, ApprovalMode.AUTO_REVIEW)
    offered = _offered(overrides)
    told = run.past.published.get(AVAILABLE_TOOLS)

    async def prepare(ctx: RunContext[Any], tools: list[ToolDefinition]) -> list[ToolDefinition]:
        nonlocal told
        left = [_asking(tool) if asks else tool for tool in tools if offered(tool.name)]
        if run.profile.tells_tools:
            known = [{"name": tool.name, "description": tool.description or ""} for tool in left]
            if known != (told or []):
                told = known
                await run.tell(AVAILABLE_TOOLS, known)
        return left

    needed = asks or run.profile.tells_tools or overrides.allowed_tools is not None or overrides.excluded_tools
    return [PrepareTools(prepare)] if needed else []


def _offered(overrides: Overrides) -> Callable[[str], bool]:
    """Excluded tools are left out whatever else is said. What is not offered is not executed either."""
    allowed, excluded = overrides.allowed_tools, overrides.excluded_tools
    return lambda name: name not in excluded and (allowed is None or name in allowed)


def _asking(tool: ToolDefinition) -> ToolDefinition:
    return replace(tool, kind="unapproved") if tool.kind == "function" and has_side_effects(tool) else tool


def has_side_effects(tool: ToolDefinition) -> bool:
    """Whether a tool says that it changes something: `metadata={"side_effects": True}`, or MCP's destructiveHint."""
    metadata = tool.metadata or {}
    annotations = metadata.get("annotations")
    return metadata.get("side_effects") is True or (
        isinstance(annotations, dict) and annotations.get("destructiveHint") is True
    )
