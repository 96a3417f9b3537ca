"""Evals: datasets of Pydantic Evals, judged case by case and recorded (docs/tasks.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic_evals import Case, Dataset

from perdure import App
from perdure.agents import EvalContext, WorkflowContext
from perdure.domain.catalog import Published
from perdure.domain.run import Kind
from perdure.execution import eval_report
from perdure.execution.inputs import published
from perdure.services import catalog
from tests.http.eval_examples import Double, dataset, evals
from tests.http.runs_app import PROJECT, Api
from tests.http.tasks_at_work import app_at_work


async def test_a_report_is_output_and_artifact(database: str, tmp_path: Path) -> None:
    async with app_at_work(database, tmp_path, evals(Double([]))) as tasks:
        run_id = await tasks.start("double", kind="eval", config={"max_concurrency": 1})
        run = await tasks.ended(run_id)
        assert run["status"] == "completed", run["error"]
        report = run["output"]
        assert (report["eval"], report["run_id"], report["dataset"]) == ("double", run_id, "doubles")
        assert report["summary"] == {
            "total": 3,
            "passed": 1,
            "failed": 1,
            "errors": 1,
            "scores": {"length": 2.0},
            "metrics": {},
        }
        short, second, raises = report["cases"]
        assert (short["name"], short["output"], short["passed"]) == ("short", "aa", True)
        assert (second["name"], second["assertions"], second["passed"]) == ("Case 2", {"EqualsExpected": False}, False)
        assert "cannot do that" in raises["error"]
        path = f"evals/reports/double/{run_id}.json"
        [artifact] = run["artifacts"]
        assert (artifact["kind"], artifact["path"]) == ("eval-report", path)
        told = await tasks.values(run_id, "perdure.eval.case")
        assert [(one["case"], one["done"], one["passed"]) for one in told] == [
            ("short", 1, True),
            ("Case 2", 2, False),
            ("raises", 3, False),
        ]
        assert [one["done"] for one in await tasks.values(run_id, "perdure.progress")] == [1.0, 2.0, 3.0]


async def test_a_report_is_compared_with_a_baseline(database: str, tmp_path: Path) -> None:
    double = Double([])
    async with app_at_work(database, tmp_path, evals(double)) as tasks:
        before = await tasks.start("double", kind="eval")
        await tasks.ended(before)
        double.broken = True
        run = await tasks.ended(await tasks.start("double", kind="eval", config={"baseline_run_id": before}))
        baseline = run["output"]["baseline"]
        assert (baseline["run_id"], baseline["regressed"], baseline["improved"]) == (before, ["short"], [])
        assert (baseline["passed_change"], baseline["score_changes"]) == (-1, {"length": -1.0})


async def test_a_recorded_case_is_not_run_again(database: str, tmp_path: Path) -> None:
    double = Double([])
    async with app_at_work(database, tmp_path, evals(double)) as tasks:
        run_id = await tasks.start("double", kind="eval")
        await tasks.ended(run_id)
        await tasks.api.json("POST", f"/runs/{run_id}/restart", {"fresh": False})
        await tasks.until(run_id, lambda run: run["attempt"] == 2 and run["status"] == "completed")
        assert sorted(double.calls) == ["a", "b", "raise"]
        assert len(await tasks.values(run_id, "perdure.eval.case")) == 3


async def test_a_function_of_two_values_is_given_its_context(database: str, tmp_path: Path) -> None:
    app = App()
    seen = []

    @app.eval("with-context", dataset=Dataset[str, str, Any](name="two", cases=[Case(name="a", inputs="x")]))
    async def judged(ctx: EvalContext, inputs: str) -> str:
        seen.append((ctx.run_id, ctx.attempt, ctx.case, ctx.idempotency_key, ctx.cancelled))
        await ctx.log("asked")
        await ctx.progress(1, 2)
        await ctx.publish("last", inputs)
        await ctx.artifacts.write("asked.txt", inputs, "text/plain")
        return f"{ctx.case} {inputs}"

    @app.eval("in-a-thread", dataset=Dataset[str, str, Any](name="one", cases=[Case(inputs="y")]))
    def plain(ctx: EvalContext, inputs: str) -> str:
        return f"{ctx.case} {inputs}"

    async with app_at_work(database, tmp_path, app) as tasks:
        run_id = await tasks.start("with-context", kind="eval")
        run = await tasks.ended(run_id)
        assert [case["output"] for case in run["output"]["cases"]] == ["a x"]
        assert seen == [(run_id, 1, "a", f"{run_id}.0.case:a", False)]
        assert [one["text"] for one in await tasks.values(run_id, "perdure.progress")] == ["a", "a"]
        assert [one["value"] for one in await tasks.values(run_id, "perdure.published")] == ["x"]
        assert "asked" in str(run["logs"])
        assert {"asked.txt"} < {artifact["path"] for artifact in run["artifacts"]}
        run = await tasks.ended(await tasks.start("in-a-thread", kind="eval"))
        assert [case["output"] for case in run["output"]["cases"]] == ["Case 1 y"]


@pytest.mark.parametrize(
    "function", [lambda: None, lambda a, b, c: None, lambda a, *, b: None], ids=["none", "three", "by name"]
)
def test_a_function_that_no_case_fits_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=r"must judge a function of a case's inputs, `\(inputs\)` or `\(ctx, inputs\)`"):
        App().eval("odd", function, dataset=dataset())


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"baseline_run_id": "none"}, "BASELINE_NOT_FOUND"),
        ({"max_concurrency": 0}, "INVALID_CONFIG"),
        ({"max_concurrency": "x"}, "INVALID_CONFIG"),
        ({"cases": ["nobody"]}, "INVALID_CONFIG"),
        ({"samples": 3}, "INVALID_CONFIG"),
    ],
)
async def test_what_cannot_be_evaluated(database: str, tmp_path: Path, config: dict[str, Any], code: str) -> None:
    async with app_at_work(database, tmp_path, evals(Double([]))) as tasks:
        # As a worker says it that publishes no schemas: the server lets all pass.
        await catalog.publish(tasks.api.core, [Published(Kind.EVAL, "double")])
        run = await tasks.ended(await tasks.start("double", kind="eval", config=config))
        assert (run["status"], run["error"]["code"]) == ("failed", code)


@pytest.mark.parametrize(
    ("request_body", "pointer"),
    [
        ({"config": {"max_concurrency": 0}}, "/request/config/max_concurrency"),
        ({"config": {"max_concurrency": "x"}}, "/request/config/max_concurrency"),
        ({"config": {"baseline_run_id": ""}}, "/request/config/baseline_run_id"),
        ({"config": {"cases": "short"}}, "/request/config/cases"),
        ({"config": {"cases": ["nobody"]}}, "/request/config/cases"),
        ({"config": {"samples": 3}}, "/request/config"),
        ({"input": {"model": "small"}}, "/request/input"),
    ],
)
async def test_what_an_eval_does_not_take_is_refused(at_work: Api, request_body: dict[str, Any], pointer: str) -> None:
    app = App()
    app.eval("double", Double([]).answer, dataset=dataset())
    await catalog.publish(at_work.core, published(app))
    owner = {"kind": "project", "id": str(PROJECT)}
    body = {"kind": "eval", "owner": owner, "request": {"target": "eval:double", **request_body}}
    assert (await at_work.problem("POST", "/runs", 400, json=body))["pointer"] == pointer
    assert (await at_work.json("GET", "/runs"))["data"] == []


async def test_the_catalogue_names_the_cases_of_a_dataset_that_is_there(at_work: Api) -> None:
    app = App()
    app.eval("there", Double([]).answer, dataset=dataset())
    app.eval("made", Double([]).answer, dataset=dataset)
    await catalog.publish(at_work.core, published(app))
    entries = {entry["name"]: entry for entry in (await at_work.json("GET", "/catalog"))["data"]}

    def items(name: str) -> Any:
        assert entries[name]["input_schema"]["properties"].keys() == {"baseline_run_id", "max_concurrency", "cases"}
        return entries[name]["input_schema"]["properties"]["cases"]["anyOf"][0]["items"]

    assert (items("there"), items("made")) == ({"enum": ["short", "Case 2", "raises"]}, {"type": "string"})


async def test_a_workflow_configures_the_eval_that_it_starts(database: str, tmp_path: Path) -> None:
    double = Double([])
    app = evals(double)

    @app.workflow("judge")
    async def judge(ctx: WorkflowContext) -> int:
        report = await ctx.run_child("eval:double", {"cases": ["Case 2"]})
        return len(report["cases"])

    async with app_at_work(database, tmp_path, app) as tasks:
        run = await tasks.ended(await tasks.start("judge", kind="workflow", workflow_id="judge"))
        assert (run["status"], run["output"], double.calls) == ("completed", 1, ["b"])


async def test_some_cases_only(database: str, tmp_path: Path) -> None:
    double = Double([])
    async with app_at_work(database, tmp_path, evals(double)) as tasks:
        run = await tasks.ended(await tasks.start("double", kind="eval", config={"cases": ["Case 2"]}))
        assert [case["name"] for case in run["output"]["cases"]] == ["Case 2"]
    assert double.calls == ["b"]


def test_cases_that_only_one_report_has() -> None:
    def report(run_id: str, *names: str) -> dict[str, Any]:
        case: dict[str, Any] = {"passed": True, "error": None, "scores": {}, "metrics": {}}
        return eval_report.report_of("e", run_id, None, [{**case, "name": name} for name in names])

    found = eval_report.compared(report("2", "a", "b"), report("1", "b", "c"))
    assert (found["added"], found["removed"], found["regressed"]) == (["a"], ["c"], [])
