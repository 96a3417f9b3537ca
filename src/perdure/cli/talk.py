"""What `perdure conversations` and `perdure inputs` do."""

from __future__ import annotations

from typing import Any

import msgspec
import typer

from perdure.cli.folding import folded
from perdure.cli.output import fail, note, write_json, write_line, write_table
from perdure.cli.remote import ask
from perdure.client import InputRequest

_WIDTH = 60


def list_conversations(context: typer.Context, limit: int, *, as_json: bool) -> None:
    """List conversations."""
    page = ask(context, lambda client: client.conversations.list(limit=limit))
    if as_json:
        write_json(page)
        return
    write_table(
        ("ID", "TYPE", "TITLE", "CHANGED"),
        ((one.id, one.type, folded(one.title or "", _WIDTH), f"{one.updated_at:%Y-%m-%d %H:%M}") for one in page.data),
        empty="There are no conversations.",
    )


def show_conversation(context: typer.Context, conversation: str, limit: int, *, as_json: bool) -> None:
    """Show messages."""
    page = ask(context, lambda client: client.conversations.messages(conversation, limit=limit))
    if as_json:
        write_json(page)
        return
    for message in page.data:
        write_line(f"{message.role}{'' if message.status == 'completed' else f' ({message.status})'}", "bold")
        write_line(message.text or f"[{', '.join(str(part.get('type')) for part in message.parts) or 'nothing'}]")
    if not page.data:
        note("Nobody has said anything.")


def delete_conversation(context: typer.Context, conversation: str) -> None:
    """Delete a conversation."""
    ask(context, lambda client: client.conversations.delete(conversation))
    note(f"Conversation {conversation} is gone, with its runs.")


def list_inputs(context: typer.Context, conversation: str, *, everything: bool, as_json: bool) -> None:
    """List forms."""
    status = None if everything else "open"
    page = ask(context, lambda client: client.inputs.list(conversation, status=status))
    if as_json:
        write_json(page)
        return
    write_table(
        ("ID", "STATUS", "TITLE", "FIELDS", "RUN"),
        ((one.id, one.status, folded(one.title, _WIDTH), _fields(one), one.run_id) for one in page.data),
        empty="Nothing waits for an answer.",
    )


def respond(context: typer.Context, conversation: str, request: str, values: str, *, as_json: bool) -> None:
    """Answer a form."""
    try:
        said = msgspec.json.decode(values, type=dict[str, Any])
    except msgspec.DecodeError as error:
        fail(f"VALUES must be a JSON object: {error}.")
    answered = ask(context, lambda client: client.inputs.respond(conversation, request, said))
    if as_json:
        write_json(answered)
    else:
        note(f"{answered.title}: {answered.status}.")


def _fields(request: InputRequest) -> str:
    return ", ".join(str(field.get("name")) for field in request.fields)
