"""What workers serve is published, and the input of a run is checked before it is taken."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from perdure import App
from perdure.agents import WorkflowContext
from perdure.execution.inputs import published
from perdure.services import catalog
from tests.http.runs_app import PROJECT, Api

OWNER = {"kind": "project", "id": str(PROJECT)}


class Order(BaseModel):
    sku: str
    amount: int = 1


app = App(version="7")


@app.workflow("order")
async def order(ctx: WorkflowContext, wanted: Order) -> None:
    """Sells something."""


@app.task("mail")
async def mail(ctx: object, to: str, copies: int = 0) -> None:
    """Writes to somebody."""


def body(kind: str, target: str, **given: object) -> dict[str, Any]:
    more = {"workflow_id": target} if kind == "workflow" else {}
    return {"kind": kind, "owner": OWNER, "request": {"target": f"{kind}:{target}", **more, **given}}


@pytest.fixture
async def published_app(at_work: Api) -> Api:
    await catalog.publish(at_work.core, published(app))
    await catalog.register(at_work.core, "worker-7", app.serves, 4, app.version)
    return at_work


async def test_the_catalogue_says_what_is_served_by_whom_and_what_it_takes(published_app: Api) -> None:
    entries = {entry["name"]: entry for entry in (await published_app.json("GET", "/catalog"))["data"]}
    found = entries["order"]
    assert (found["kind"], found["version"], found["description"]) == ("workflow", "7", "Sells something.")
    assert found["input_schema"]["required"] == ["sku"]
    assert [(worker["id"], worker["version"]) for worker in found["workers"]] == [("worker-7", "7")]
    assert entries["mail"]["input_schema"]["properties"].keys() == {"to", "copies"}
    assert (entries["echo"]["kind"], entries["echo"]["input_schema"]) == ("agent", None)
    await catalog.unregister(published_app.core, "worker-7")
    entries = {entry["name"]: entry for entry in (await published_app.json("GET", "/catalog"))["data"]}
    assert entries["order"]["workers"] == []


async def test_an_input_that_fits_is_taken(published_app: Api) -> None:
    for request in (body("workflow", "order", input={"sku": "a"}), body("task", "mail", config={"to": "ann"})):
        answer = await published_app.json("POST", "/runs", request)
        assert answer["run"]["status"] == "pending"


@pytest.mark.parametrize(
    ("request_body", "pointer"),
    [
        (body("workflow", "order", input={"sku": "a", "amount": "many"}), "/request/input/amount"),
        (body("workflow", "order", input={"amount": 1}), "/request/input"),
        (body("workflow", "order"), "/request/input"),
        (body("task", "mail", config={"to": "ann", "blind": True}), "/request/config"),
    ],
)
async def test_an_input_that_does_not_fit_is_refused_with_its_place(
    published_app: Api, request_body: dict[str, Any], pointer: str
) -> None:
    problem = await published_app.problem("POST", "/runs", 400, json=request_body)
    assert problem["pointer"] == pointer
    assert (await published_app.json("GET", "/runs"))["data"] == []


@pytest.mark.parametrize("kind", ["workflow", "task", "eval"])
async def test_what_nobody_serves_is_not_found_and_the_known_names_are_told(published_app: Api, kind: str) -> None:
    problem = await published_app.problem("POST", "/runs", 404, json=body(kind, "nobody"))
    assert problem["code"] == "target_not_found"
    known = {"workflow": "order", "task": "mail", "eval": "smoke"}[kind]
    assert known in problem["detail"]


async def test_the_catalogue_is_for_those_who_may_read_runs(at_work: Api) -> None:
    key = await at_work.new_key(scopes=["runs:write"])
    await at_work.problem("GET", "/catalog", 403, headers={"Authorization": f"Bearer {key}"})
