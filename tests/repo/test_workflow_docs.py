"""The examples of docs/workflows.md work: each Python block is a file for a worker, and its workflow runs."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from perdure.domain.event import custom
from perdure.execution.inputs import published
from perdure.execution.loading import load_app
from perdure.execution.log import Completed, Waiting
from tests.unit.execution.workflow_log import Tape

PAGE = Path(__file__).resolve().parents[2] / "docs" / "workflows.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
RUNS: list[tuple[dict[str, object], object]] = [
    ({"sku": "a"}, {"sold": True, "price": 9.5}),
    ({"numbers": [1, 2, 3]}, [1, 4, 9]),
]


def tell(tape: Tape, name: str, value: object) -> None:
    tape.add(msgspec.json.encode(custom(name, value)).decode())


@pytest.mark.parametrize("number", range(len(BLOCKS)))
async def test_an_example(tmp_path: Path, number: int) -> None:
    file = tmp_path / f"workflow_example_{number}.py"
    file.write_text(BLOCKS[number], encoding="utf-8")
    app = load_app(str(file))
    assert all(one.input_schema for one in published(app))
    (definition,) = app.workflows.values()
    given, expected = RUNS[number]
    tape = Tape()
    outcome = await tape.attempt(definition.function, **given)
    if isinstance(outcome, Waiting):
        for call in outcome.calls:
            tell(tape, "perdure.run.waiting", {"reason": "approval", "calls": [{"toolCallId": call.id}]})
            tell(tape, "perdure.run.approval", {"toolCallId": call.id, "value": {"approved": True}})
        outcome = await tape.attempt(definition.function, **given)
    assert outcome == Completed(expected)
