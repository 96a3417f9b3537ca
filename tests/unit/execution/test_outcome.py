"""What the end of a run says about its model."""

from __future__ import annotations

from perdure.execution.log import Completed, Usage


def test_what_is_not_known_is_left_out() -> None:
    known = {"inputTokens": 3, "outputTokens": 5, "cachedInputTokens": 0, "reasoningTokens": 0}
    assert Completed(usage=Usage(1, 3, 5)).metadata() == known
    named = Completed(usage=Usage(1, 3, 5), provider="p", model="m", finish_reason="stop")
    assert named.metadata() == {"provider": "p", "model": "m", **known, "finishReason": "stop"}


def test_a_run_without_a_model_says_nothing() -> None:
    assert Completed().metadata() is None
