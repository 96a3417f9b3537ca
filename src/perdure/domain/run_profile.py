"""What holds for a run's next turn beside its input: what creation and later signals say (vertesia.md 2.1, 4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from perdure.domain.agent_signals import ApprovalMode, Effort
from perdure.domain.stored_run import Run

DEFAULT_ENVIRONMENT: Final = "default"
"""The environment of a run that names none: the agent's own model."""

CHECKPOINT_TOKENS: Final = 50_000
"""What a checkpoint leaves of the conversation where creation does not say it."""

CHARACTERS_PER_TOKEN: Final = 4


@dataclass(frozen=True, slots=True)
class InitialCall:
    """A tool call that is executed before the model is asked. One that `stops` fails the run when it fails."""

    id: str
    tool: str
    input: Mapping[str, Any]
    stops: bool


@dataclass(frozen=True, slots=True)
class RunProfile:
    """None and empty: the agent's own settings hold. `tells_tools`: clients may ask which tools a turn has.

    `model` is named `provider:model`. `disabled_mcp_collections` is for the agent's code.
    """

    tells_tools: bool = False
    model: str | None = None
    effort: Effort | None = None
    approval: ApprovalMode | None = None
    disabled_mcp_collections: frozenset[str] = frozenset()
    initial_calls: tuple[InitialCall, ...] = ()


def profile_of(run: Run, *, first_turn: bool) -> RunProfile:
    """The profile of a stored run as it is now. Only its first turn makes the initial calls."""
    said = run.spec.agent_run
    profile: Mapping[str, Any] = {} if run.about.profile is None else msgspec.json.decode(run.about.profile)
    if said is None and not profile:
        return RunProfile()
    config: Any = (said or {}).get("config")
    environment = config.get("environment") if isinstance(config, dict) else None
    effort, mode, disabled = (
        profile.get(name) for name in ("effort", "tool_approval_mode", "disabled_mcp_collections")
    )
    if said is not None and not run.spec.interactive:
        mode = ApprovalMode.FULL_CONTROL
    return RunProfile(
        tells_tools=True,
        model=model_name(profile.get("model"), environment),
        effort=Effort(effort) if effort in tuple(Effort) else None,
        approval=ApprovalMode(mode) if mode in tuple(ApprovalMode) else None,
        disabled_mcp_collections=frozenset(map(str, disabled)) if isinstance(disabled, list) else frozenset(),
        initial_calls=_calls(said or {}) if first_turn else (),
    )


def model_name(model: object, environment: object) -> str | None:
    """`provider:model`, as executors name models. Without a provider the agent's own model stays."""
    if not isinstance(model, str) or not model:
        return None
    if ":" in model:
        return model
    named = isinstance(environment, str) and environment and environment != DEFAULT_ENVIRONMENT
    return f"{environment}:{model}" if named else None


def checkpoint_characters(run: Run) -> int:
    """How much text of the conversation a checkpoint keeps (`checkpoint_tokens` is in thousands)."""
    tokens = (run.spec.agent_run or {}).get("checkpoint_tokens")
    kept = tokens * 1000 if isinstance(tokens, int | float) and tokens > 0 else CHECKPOINT_TOKENS
    return int(kept * CHARACTERS_PER_TOKEN)


def _calls(said: Mapping[str, Any]) -> tuple[InitialCall, ...]:
    calls = said.get("initial_tool_calls")
    return tuple(
        InitialCall(call["id"], call["tool"], call.get("input") or {}, stops=call.get("on_error") != "continue")
        for call in (calls if isinstance(calls, list) else ())
    )
