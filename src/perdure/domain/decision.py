"""What somebody decided about a call that needs approval, as it is read from an answer of any shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from perdure.domain.past import Answer

_YES: Final = frozenset({"approve", "approved", "accept", "accepted", "allow", "allowed", "yes", "true", "ok"})
_DECISION: Final = ("approved", "approve", "accepted", "allowed", "decision", "action", "status")
_MESSAGE: Final = ("message", "reason", "feedback", "comment")
_ARGUMENTS: Final = ("arguments", "args", "override_args", "overrideArgs")


@dataclass(frozen=True, slots=True)
class Decision:
    """`message`: what was said beside it. `arguments`: those to call with, in place of those that were asked about."""

    approved: bool
    message: str | None = None
    arguments: dict[str, Any] | None = None


def decided(answer: Answer) -> Decision:
    """Whether a call may be made. Anything that does not clearly say yes is a no.

    Understood are true and false, words such as "approve", and objects with `approved` (or `decision` …) that may also
    hold a `message` for whoever asked, and `arguments`.
    """
    value = answer.value
    said: object = value
    message, arguments = answer.message, None
    if isinstance(value, Mapping):
        said = next((value[key] for key in _DECISION if key in value), None)
        message = next((str(value[key]) for key in _MESSAGE if value.get(key)), message)
        arguments = next((value[key] for key in _ARGUMENTS if isinstance(value.get(key), dict)), None)
    elif isinstance(value, str) and value.strip().lower() not in _YES:
        message = message or value
    approved = not answer.is_error and (said is True or (isinstance(said, str) and said.strip().lower() in _YES))
    return Decision(approved, message or None, arguments)
