"""The tools of the agent `demo`: plain Python functions, the same for the scripted model and for a real one.

Each puts its piece of the state under a name of its own, so calls that run side by side do not depend on each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ag_ui.core import StateDeltaEvent, StateSnapshotEvent
from pydantic_ai import RunContext, Tool, ToolReturn

from perdure.execution.tool_context import idempotency_key, publish


@dataclass(frozen=True, slots=True)
class Note:
    """One of the notes that `search_notes` finds."""

    title: str
    text: str


NOTES: Final = (
    Note("The log is the run", "Every event of a run is appended to one log; everything else is derived from it."),
    Note("Reconnecting", "A client that comes late reads from its cursor on, and misses nothing."),
    Note("Crash recovery", "A recorded step is not executed again; what was in flight is, with the same key."),
    Note("Approvals", "A tool that needs approval parks its run. It holds no worker until a person has answered."),
    Note("Lost attempts", "Text that an attempt streamed but did not finish is taken back by an explicit event."),
    Note("Signals", "A signal is written into the log first, so it waits there until the run looks."),
    Note("Telling stories", "A long story is told in chapters. Each that is kept survives the death of its worker."),
    Note("Lighthouses", "The lamp of a lighthouse turns all night; its keeper writes down every ship that passes."),
)

_WORD: Final = re.compile(r"\w+")
_SENTENCE_END: Final = re.compile(r"(?<![.!?])[.!?]+(?=\s|\Z)")
_SHORT: Final = 3
_COMMON: Final = frozenset(
    {
        *("about", "and", "for", "from", "happens", "how", "into", "long", "please", "story", "tell", "that", "the"),
        *("then", "there", "this", "was", "were", "what", "when", "where", "which", "who", "why", "with", "you"),
        "your",
    }
)


async def make_plan(ctx: RunContext[None], steps: list[str]) -> str:
    """Shows the user what you are going to do. Call it first, once.

    Args:
        ctx: The run.
        steps: The steps, a few words each.
    """
    await publish(ctx, StateSnapshotEvent(snapshot={"plan": steps}))
    return f"The plan has {len(steps)} {'step' if len(steps) == 1 else 'steps'}."


async def search_notes(query: str, limit: int = 2) -> ToolReturn:
    """Searches the notes about Perdure.

    Args:
        query: Words to look for.
        limit: How many notes to give back at most.
    """
    wanted = {word for word in _words(query) if len(word) >= _SHORT and word not in _COMMON}
    ranked = sorted(NOTES, key=lambda note: -len(wanted & set(_words(f"{note.title} {note.text}"))))
    found = [note for note in ranked if wanted & set(_words(f"{note.title} {note.text}"))][: max(0, limit)]
    titles = [note.title for note in found]
    return ToolReturn(
        {"notes": [{"title": note.title, "text": note.text} for note in found]},
        metadata=_put("notes", {"query": query, "found": titles}),
    )


async def word_count(text: str) -> ToolReturn:
    """Counts the words, sentences and characters of a text.

    Args:
        text: The text.
    """
    counted = {
        "words": len(_WORD.findall(text)),
        "sentences": len(_SENTENCE_END.findall(text)) or int(bool(text.strip())),
        "characters": len(text),
    }
    return ToolReturn(counted, metadata=_put("counted", counted))


async def save_chapter(number: int, title: str) -> ToolReturn:
    """Keeps a chapter of a long story that you are telling. Call it after you have told the chapter.

    Args:
        number: The chapter's number, from 1.
        title: Its title.
    """
    return ToolReturn(f"Chapter {number} is kept.", metadata=_put("chapter", {"number": number, "title": title}))


async def send_email(ctx: RunContext[None], to: str, subject: str, body: str) -> dict[str, object]:
    """Sends a mail, after a person has approved it. (This is a demo: no mail leaves the server.)

    Args:
        ctx: The run.
        to: Who gets it.
        subject: Its subject.
        body: Its text.
    """
    return {"sent": True, "to": to, "subject": subject, "characters": len(body), "message_id": idempotency_key(ctx)}


def demo_tools() -> list[Tool[None]]:
    """The tools, for one agent."""
    return [
        # A barrier: the plan is there before anything else begins, also when all are called in one turn.
        Tool(make_plan, sequential=True),
        Tool(search_notes),
        Tool(word_count),
        Tool(save_chapter),
        Tool(send_email, requires_approval=True),
    ]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _put(name: str, value: object) -> StateDeltaEvent:
    """Puts a member into the state. `add` also replaces it, and needs nothing to be there before (RFC 6902, 4.1)."""
    return StateDeltaEvent.model_validate({"delta": [{"op": "add", "path": f"/{name}", "value": value}]})
