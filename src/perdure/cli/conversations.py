"""`perdure conversations`: list conversations, read their messages, delete them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.options import Json
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import talk
else:
    talk = Lazy("perdure.cli.talk")

app = typer.Typer(
    name="conversations", no_args_is_help=True, help="List conversations, read their messages, delete them."
)

ConversationId = Annotated[str, typer.Argument(metavar="CONVERSATION", help="Its id.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, max=200, help="How many.")]


@app.command("list")
def list_(context: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List the conversations of your project, newest first."""
    talk.list_conversations(context, limit, as_json=as_json)


@app.command("show")
def show(context: typer.Context, conversation: ConversationId, limit: Limit = 50, as_json: Json = False) -> None:
    """Show the newest messages of a conversation, the oldest of them first."""
    talk.show_conversation(context, conversation, limit, as_json=as_json)


@app.command("delete")
def delete(context: typer.Context, conversation: ConversationId) -> None:
    """Delete a conversation with its messages, runs and events. What still runs in it is cancelled."""
    talk.delete_conversation(context, conversation)
