"""The examples of docs/tasks.md work: each Python block is a file that a worker loads, and its runs do what is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from perdure.execution.task_site import PASSED_ON
from tests.http.tasks_at_work import tasks_at_work

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def sends(run: dict[str, Any]) -> bool:
    output = {"sent": 2, "key": f"{run['run_id']}.task"}
    said = (run["output"], run["logs"], run["artifacts"][0]["path"])
    return said == (output, "sending to Ada\n", "report.txt")


def imports(run: dict[str, Any]) -> bool:
    return (run["output"], run["artifacts"][0]["path"]) == ({"rows": 3}, "when.txt")


def judges(run: dict[str, Any]) -> bool:
    return (run["output"]["summary"]["passed"], run["artifacts"][0]["kind"]) == (1, "eval-report")


EXAMPLES = {
    "send-report": ("task", {"to": "Ada", "copies": 2}, sends),
    "import": ("task", {}, imports),
    "capitals": ("eval", {}, judges),
}


@pytest.mark.parametrize(("block", "name"), list(zip(BLOCKS, EXAMPLES, strict=True)), ids=list(EXAMPLES))
async def test_an_example_does_what_the_page_says(block: str, name: str, database: str, tmp_path: Path) -> None:
    kind, config, holds = EXAMPLES[name]
    path = tmp_path / f"example_{name.replace('-', '_')}.py"
    path.write_text(block, encoding="utf-8")
    async with tasks_at_work(database, tmp_path, path) as tasks:
        run = await tasks.ended(await tasks.start(name, kind=kind, config=config))
        assert run["status"] == "completed", run
        assert holds(run), run


def test_the_variables_that_are_passed_on_are_listed() -> None:
    assert sorted(name for name in PASSED_ON if f"`{name}`" not in PAGE) == []
