"""The App of the demo agents, which `perdure dev` serves beside the user's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from ag_ui.core import BaseEvent
from pydantic_ai import Agent
from pydantic_ai.settings import ModelSettings

from perdure.domain.agui import TextContent, TextEnd, TextStart, content_id
from perdure.domain.message import last_user_text
from perdure.execution.demo.script import Sleep, scripted_model
from perdure.execution.demo.tools import demo_tools
from perdure.execution.log import RunContext
from perdure.execution.registry import App
from perdure.lazy import Lazy

if TYPE_CHECKING:
    from perdure.execution.demo import model as models
else:
    models = Lazy("perdure.execution.demo.model")

INSTRUCTIONS: Final = """\
You are the demo agent of Perdure, a server for durable agent runs. Answer in the language of the user, and briefly.
First call make_plan with the two to four steps that you will take. Then call search_notes and word_count together,
in one turn, and use what they say. Use the tools of the application where they help. When you are asked for a long
story, tell it in chapters of about 100 words and call save_chapter after each one. When you are asked to send
something, call send_email: a person decides whether it may run, and you accept a no."""

_WORD: Final = re.compile(r"\S+\s*|\s+")

NO_SDK_RETRIES: Final = ModelSettings(max_retries=0)
"""A failed request is tried again by `durability`, as the provider asks and visibly. A client that did so as well would
hide that, and multiply the requests."""


def demo_app(model: str | None, *, sleep: Sleep = asyncio.sleep) -> App:
    """An App with the agents `echo` and `demo`.

    `model` is a model's name in Pydantic AI's form (`openai:gpt-5.2`) for `demo`; None gives it a scripted one that
    needs no key. `sleep` (seconds) sets the pace of the scripted one. Raises AppNotLoaded for a model that cannot be.
    """
    app = App()
    app.agent("echo", echo, description="Answers with your last message, word by word.")
    app.agent(
        "demo", demo_agent(model, sleep), description="Plans, calls tools, asks for approval, tells long stories."
    )
    return app


async def echo(run: RunContext) -> AsyncIterator[BaseEvent]:
    """Answers with the last user message, word by word."""
    name = f"{run.run_id}-{run.attempt}"
    part = content_id(name)
    yield TextStart(message_id=name, role="assistant", content_id=part)
    for word in words(last_user_text(run.messages)):
        yield TextContent(message_id=name, delta=word, content_id=part)
    yield TextEnd(message_id=name, content_id=part)


def words(text: str) -> list[str]:
    """`text` in words, white space included: joined they are `text` again."""
    return _WORD.findall(text)


def demo_agent(model: str | None, sleep: Sleep = asyncio.sleep) -> Agent[None, str]:
    """The agent `demo`."""
    if model is None:
        return Agent(scripted_model(sleep), name="demo", instructions=INSTRUCTIONS, tools=demo_tools())
    real = models.real_model(model)
    return Agent(real, name="demo", instructions=INSTRUCTIONS, tools=demo_tools(), model_settings=NO_SDK_RETRIES)
