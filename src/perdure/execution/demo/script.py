"""The model that plays the agent `demo` without a key: what it says follows from the conversation alone.

So a replayed run, one that goes on after an approval, and a second turn of a conversation all find their place in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json

from perdure.execution.demo.example import example_of
from perdure.execution.demo.story import chapter, chapter_title
from perdure.execution.demo.wish import TOKENS_PER_SECOND, Story, Wish, wish_of
from perdure.execution.log import RunFailed

Sleep = Callable[[float], Awaitable[None]]
"""Waits, in seconds."""

Delta = str | dict[int, DeltaThinkingPart] | dict[int, DeltaToolCall]

FAILED: Final = "DEMO_FAILED"
"""Code of a run that failed because its prompt asked for it."""

_TOKEN_SECONDS: Final = 0.015
_SHOWN: Final = 300
_PLANNED: Final = 2_000
_ARGUMENT_PIECE: Final = 24


@dataclass(frozen=True, slots=True)
class Think:
    """Reasoning, token by token."""

    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Text, token by token, `pause` seconds before each."""

    tokens: Sequence[str]
    pause: float = _TOKEN_SECONDS


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call."""

    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True)
class Fail:
    """An error in the middle of the response."""


Beat = Think | Say | Call | Fail


@dataclass(frozen=True, slots=True)
class Turn:
    """What has happened since the user spoke last.

    `called` are the names of the tools that were called, in order; `returned` what they returned.
    """

    prompt: str
    offered: dict[str, ToolDefinition]
    called: tuple[str, ...]
    returned: tuple[ToolReturnPart, ...]
    calls_before: int
    run_id: str

    def may(self, name: str) -> bool:
        """Whether a tool is there and has not been called."""
        return name in self.offered and name not in self.called

    def result(self, name: str) -> ToolReturnPart | None:
        """What a tool returned last; None when it was not called."""
        return next((part for part in reversed(self.returned) if part.tool_name == name), None)


def scripted_model(sleep: Sleep) -> FunctionModel:
    """The model. `sleep` sets its pace."""

    def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Delta]:
        return _play(turn_of(messages, info), sleep)

    return FunctionModel(stream_function=stream, model_name="demo")


def turn_of(messages: Sequence[ModelMessage], info: AgentInfo) -> Turn:
    """The turn that the conversation is in."""
    spoke = next((i for i in range(len(messages) - 1, -1, -1) if _prompt(messages[i]) is not None), 0)
    since = messages[spoke:]
    calls = [
        part.tool_name for message in messages if isinstance(message, ModelResponse) for part in message.tool_calls
    ]
    called = [part.tool_name for message in since if isinstance(message, ModelResponse) for part in message.tool_calls]
    returned = [
        part
        for message in since
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    ]
    return Turn(
        prompt=(_prompt(messages[spoke]) or "") if messages else "",
        offered={tool.name: tool for tool in info.function_tools},
        called=tuple(called),
        returned=tuple(returned),
        calls_before=len(calls),
        run_id=next((message.run_id for message in reversed(messages) if message.run_id), "run"),
    )


def _prompt(message: ModelMessage) -> str | None:
    """What the user says in a message; None when it is not the user who speaks."""
    if not isinstance(message, ModelRequest):
        return None
    said = [part.content for part in message.parts if isinstance(part, UserPromptPart)]
    if not said:
        return None
    texts = [
        [content] if isinstance(content, str) else [item for item in content if isinstance(item, str)]
        for content in said
    ]
    return "\n".join(text for group in texts for text in group)


# --- the script ------------------------------------------------------------------------------------------------------


def respond(turn: Turn) -> Iterator[Beat]:
    """The next response. It ends with the first tool calls, or with the end of the answer."""
    wish = wish_of(turn.prompt)
    if not turn.called:
        yield Think(_reasoning(turn, wish))
    for scene in (_opening(turn, wish), _story(turn, wish), _client_tool(turn), _mail(turn, wish)):
        calls = 0
        for beat in scene:
            calls += isinstance(beat, Call)
            yield beat
        if calls:
            return
    yield _say(_closing(turn, wish))


def _steps(turn: Turn, wish: Wish) -> list[str]:
    client = _client_tools(turn)
    return [
        "Look into the notes, and count the words of the question",
        *([f"Tell a story in {_chapters(wish.story)}"] if wish.story else []),
        *([f"Ask your application: {client[0].name}"] if client else []),
        *(["Send a mail, if you approve"] if wish.mail_to else []),
        "Answer",
    ]


def _reasoning(turn: Turn, wish: Wish) -> str:
    steps = "; ".join(f"{number}. {step}" for number, step in enumerate(_steps(turn, wish), start=1))
    return f"The user wants: {_clip(turn.prompt) or 'nothing in particular'}. My plan: {steps}."


def _opening(turn: Turn, wish: Wish) -> Iterator[Beat]:
    if turn.called:
        return
    if wish.fail:
        yield _say("I was asked to fail, so this answer breaks off in the")
        yield Fail()
    wanted: dict[str, dict[str, object]] = {
        "make_plan": {"steps": _steps(turn, wish)},
        "search_notes": {"query": _clip(turn.prompt)},
        "word_count": {"text": turn.prompt[:_PLANNED]},
    }
    calls = [Call(name, arguments) for name, arguments in wanted.items() if turn.may(name)]
    if calls:
        yield _say("Let me look that up, and count your words meanwhile.")
    yield from calls


def _story(turn: Turn, wish: Wish) -> Iterator[Beat]:
    """One chapter for each response, so that one which is kept is not told again after a crash."""
    story = wish.story
    if story is None:
        return
    kept = turn.called.count("save_chapter")
    keeps = "save_chapter" in turn.offered
    for number in range(kept + 1, story.chapters + 1):
        yield Say(chapter(story.seed, number, story.chapter_tokens), pause=1 / TOKENS_PER_SECOND)
        if keeps:
            yield Call("save_chapter", {"number": number, "title": chapter_title(story.seed, number)})
            return
        yield Say(["\n\n"])


def _client_tool(turn: Turn) -> Iterator[Beat]:
    client = _client_tools(turn)
    if not client or any(tool.name in turn.called for tool in client):
        return
    tool = next((tool for tool in client if tool.name.lower() in turn.prompt.lower()), client[0])
    yield _say(f"Your application offers the tool {tool.name}, so I ask it.")
    yield Call(tool.name, example_of(tool.parameters_json_schema, turn.prompt))


def _mail(turn: Turn, wish: Wish) -> Iterator[Beat]:
    if wish.mail_to is None or not turn.may("send_email"):
        return
    yield _say("I have written a mail. Please look at it: it is sent only if you approve.")
    body = f"You asked: {_clip(turn.prompt)}\n\n{_found(turn)}"
    yield Call("send_email", {"to": wish.mail_to, "subject": "What you asked the demo agent", "body": body})


def _closing(turn: Turn, wish: Wish) -> str:
    sentences = [_found(turn), _counted(turn), *_answered(turn), _sent(turn)]
    if wish.story:
        sentences.append(f"That was a story in {_chapters(wish.story)}.")
    return " ".join(filter(None, sentences)) or "There is nothing more that I could do."


def _found(turn: Turn) -> str:
    part = turn.result("search_notes")
    content = part.content if part is not None else None
    if not isinstance(content, dict):
        return ""
    notes = [f"“{note['title']}”: {note['text']}" for note in content.get("notes", ())]
    return f"My notes say: {' '.join(notes)}" if notes else "My notes say nothing about that."


def _counted(turn: Turn) -> str:
    part = turn.result("word_count")
    content = part.content if part is not None else None
    if not isinstance(content, dict):
        return ""
    number = content.get("words")
    return f"Your message has {number} {'word' if number == 1 else 'words'}."


def _answered(turn: Turn) -> Iterator[str]:
    for tool in _client_tools(turn):
        part = turn.result(tool.name)
        if part is not None:
            said = "answered" if part.outcome == "success" else "could not be used"
            yield f"The tool {tool.name} of your application {said}: {_told(part)}."


def _sent(turn: Turn) -> str:
    part = turn.result("send_email")
    if part is None:
        return ""
    if part.outcome == "success":
        return "The mail is sent: you approved it."
    return f"The mail is not sent: {_told(part)}"


def _client_tools(turn: Turn) -> list[ToolDefinition]:
    return [tool for tool in turn.offered.values() if tool.kind == "external"]


def _told(part: ToolReturnPart) -> str:
    return _clip(part.model_response_str(wrap_if_error=False))


def _chapters(story: Story) -> str:
    return "one chapter" if story.chapters == 1 else f"{story.chapters} chapters"


def _clip(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _say(text: str) -> Say:
    first, *rest = text.split(" ")
    return Say([first, *(f" {word}" for word in rest)])


# --- its performance -------------------------------------------------------------------------------------------------


async def _play(turn: Turn, sleep: Sleep) -> AsyncIterator[Delta]:
    """A response as the stream of a model."""
    calls = 0
    for beat in respond(turn):
        match beat:
            case Think(text):
                for token in _say(text).tokens:
                    await sleep(_TOKEN_SECONDS)
                    yield {0: DeltaThinkingPart(content=token)}
            case Say(tokens, pause):
                for token in tokens:
                    await sleep(pause)
                    yield token
            case Call():
                calls += 1
                for delta in _deltas(beat, f"call_{turn.run_id}_{turn.calls_before + calls}"):
                    await sleep(_TOKEN_SECONDS)
                    yield {calls: delta}
            case Fail():
                raise RunFailed("The demo agent failed, as its prompt asked.", FAILED)


def _deltas(call: Call, call_id: str) -> Iterator[DeltaToolCall]:
    arguments = to_json(call.arguments).decode()
    yield DeltaToolCall(name=call.name, json_args=arguments[:_ARGUMENT_PIECE], tool_call_id=call_id)
    for start in range(_ARGUMENT_PIECE, len(arguments), _ARGUMENT_PIECE):
        yield DeltaToolCall(json_args=arguments[start : start + _ARGUMENT_PIECE])
