"""What the model of the pictures' shop says and calls: each user message it knows has a scene, played move by move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models.function import (
    AgentInfo,
    DeltaThinkingCalls,
    DeltaThinkingPart,
    DeltaToolCall,
    DeltaToolCalls,
    FunctionModel,
)

WORD_SECONDS = 0.012


@dataclass(frozen=True)
class Move:
    """One answer of the model: thoughts, words, and calls of tools with their arguments."""

    thinks: str = ""
    says: str = ""
    calls: Mapping[str, dict[str, Any]] = field(default_factory=dict)


BROKEN_POLE = "Hi, my Ridge 2 tent (order A-1042) came with a cracked pole. Can I have a new one, or money back?"
MONEY_BACK = "Money back for the pole is fine, we leave on Saturday. Thank you!"
WHERE = "Where is my order A-1077?"
LATE = "Order A-1063 should have been here on Monday. What is going on?"
BOOTS = "Which boots for a week of hut-to-hut walking with a heavy pack?"
STOVE = "Write the page for the Ember gas stove."
RETURN = "I want to return the sleeping bag of order A-1055, it is too short for me."
ADDRESS = "Please send order A-1090 to my office instead: Hafenstr. 4, Hamburg."

OFFER = """\
I am sorry about the pole. Your order is **within its 30 days**, and its warranty covers poles for two years, so \
both is possible:

| | what you get | when |
|---|---|---|
| **New pole** | one section of 8.5 mm, free of charge | in stock, with you by Thursday |
| **Money back** | € 39.00 for the pole, you keep the tent | 2 to 3 working days |

Which one would you like?
"""
SCENES: Mapping[str, tuple[Move, ...]] = {
    BROKEN_POLE: (
        Move(
            "A damaged part, not the whole tent. First the order and what the warranty says about poles; then stock, "
            "because a new pole is only worth offering when we have one.",
            "Let me look at your order and at what we have in stock.",
            {
                "lookup_order": {"order": "A-1042"},
                "check_stock": {"sku": "RIDGE-2-POLE"},
                "read_policy": {"topic": "damaged on arrival"},
            },
        ),
        Move("The order is 9 days old and the pole is in stock. Both are open to the customer.", OFFER),
    ),
    MONEY_BACK: (
        Move(
            "€ 39.00 for the pole. Refunds need a person's approval.",
            "Gladly. I have prepared the refund; a colleague confirms it in a moment.",
            {"refund": {"order": "A-1042", "euros": 39.0, "reason": "Pole cracked, customer keeps the tent"}},
        ),
        Move("", "It is done: € 39.00 are on their way to your card. Have a good trip!"),
    ),
    WHERE: (
        Move("", "One moment.", {"lookup_order": {"order": "A-1077"}, "track_parcel": {"order": "A-1077"}}),
        Move("", "It left our warehouse yesterday and is **out for delivery** today, between 14:00 and 16:00."),
    ),
    LATE: (Move("", "Let me ask the carrier.", {"track_parcel": {"order": "A-1063"}}),),
    BOOTS: (
        Move("A heavy pack means support at the ankle.", "", {"search_products": {"query": "trekking boots, stiff"}}),
        Move("", "For a heavy pack I would take the **Talus Mid**: stiff sole, high shaft, and it can be resoled."),
    ),
    STOVE: (
        Move("", "", {"search_products": {"query": "Ember gas stove"}}),
        Move("", "# Ember\n\nBoils half a litre in under three minutes, weighs less than your phone."),
    ),
    RETURN: (
        Move("", "I look at the order.", {"lookup_order": {"order": "A-1055"}}),
        Move("", "", {"create_return": {"order": "A-1055", "sku": "DRIFT-400", "exchange_for": "DRIFT-400-LONG"}}),
        Move("", "The label is in your inbox, and the long one leaves today."),
    ),
    ADDRESS: (
        Move("", "I can do that until it is packed.", {"lookup_order": {"order": "A-1090"}}),
        Move("", "", {"change_address": {"order": "A-1090", "address": "Hafenstr. 4, 20457 Hamburg"}}),
        Move("", "Done. It goes to Hafenstr. 4."),
    ),
}  # fmt: skip


def scripted(name: str) -> FunctionModel:
    """A model under some name that plays the scene of the last user message, word by word."""
    return FunctionModel(stream_function=play, model_name=name)


async def play(
    messages: list[ModelMessage], info: AgentInfo
) -> AsyncIterator[str | DeltaToolCalls | DeltaThinkingCalls]:
    """The move that follows upon what was said since the user spoke."""
    asked = max(
        at for at, said in enumerate(messages)
        if isinstance(said, ModelRequest) and any(isinstance(part, UserPromptPart) for part in said.parts)
    )  # fmt: skip
    prompt = next(str(part.content) for part in messages[asked].parts if isinstance(part, UserPromptPart))
    move = SCENES[prompt][sum(isinstance(said, ModelResponse) for said in messages[asked:])]
    for word in pieces(move.thinks):
        yield {0: DeltaThinkingPart(content=word)}
        await asyncio.sleep(WORD_SECONDS)
    for word in pieces(move.says):
        yield word
        await asyncio.sleep(WORD_SECONDS)
    for number, (tool, arguments) in enumerate(move.calls.items(), start=1):
        call = f"call_{len(messages)}_{number}"
        yield {number: DeltaToolCall(name=tool, json_args=json.dumps(arguments, ensure_ascii=False), tool_call_id=call)}


def pieces(text: str) -> list[str]:
    """A text in words, the space behind each included."""
    return [f"{word} " for word in text.split(" ")] if text else []
