"""Evals for tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected, Evaluator, EvaluatorContext

from perdure import App


@dataclass
class Length(Evaluator[str, str, Any]):
    """How long the answer is, for the score."""

    def evaluate(self, ctx: EvaluatorContext[str, str, Any]) -> dict[str, float]:
        return {"length": float(len(ctx.output))}


@dataclass
class Double:
    """The function that is judged: its calls, and what it makes of the inputs."""

    calls: list[str]
    broken: bool = False

    async def answer(self, inputs: str) -> str:
        self.calls.append(inputs)
        if inputs == "raise":
            raise ValueError("cannot do that")
        return inputs if self.broken else inputs * 2


def dataset() -> Dataset[str, str, Any]:
    """Three cases: one passes, one fails, one raises."""
    return Dataset[str, str, Any](
        name="doubles",
        cases=[
            Case(name="short", inputs="a", expected_output="aa"),
            Case(inputs="b", expected_output="c"),
            Case(name="raises", inputs="raise"),
        ],
        evaluators=[EqualsExpected(), Length()],
    )


def evals(double: Double) -> App:
    """An App with the eval `double`, whose dataset is made anew in each attempt."""
    app = App()
    app.eval("double", double.answer, dataset=dataset)
    return app
