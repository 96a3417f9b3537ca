"""`perdure inputs`: see the forms that runs put before people, and answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from perdure.cli.conversations import ConversationId
from perdure.cli.options import Json
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.cli import talk
else:
    talk = Lazy("perdure.cli.talk")

app = typer.Typer(
    name="inputs", no_args_is_help=True, help="See the forms that runs put before people, and answer them."
)


@app.command("list")
def list_(
    context: typer.Context,
    conversation: ConversationId,
    everything: Annotated[bool, typer.Option("--all", help="Those too that wait for no answer any more.")] = False,
    as_json: Json = False,
) -> None:
    """List a conversation's open forms."""
    talk.list_inputs(context, conversation, everything=everything, as_json=as_json)


@app.command("respond")
def respond(
    context: typer.Context,
    conversation: ConversationId,
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The form's id.", show_default=False)],
    values: Annotated[str, typer.Argument(help='A JSON object: a value by field, {"who": "ada"}.', show_default=False)],
    as_json: Json = False,
) -> None:
    """Answer a form. The first answer stands."""
    talk.respond(context, conversation, request, values, as_json=as_json)
