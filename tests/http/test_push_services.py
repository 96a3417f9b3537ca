"""Push services over HTTP: registered, looked after, and seen by whom they concern."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.http.push_runtime import open_to_loopback, register
from tests.http.runs_app import PROJECT, Api, agent_run

URL = "https://runtime.example"
ALL = "/agent-runtimes/push-services"


async def as_ordinary(at_work: Api, **key: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {await at_work.new_key(**key)}"}


async def test_a_service_that_registers_again_keeps_its_id(at_work: Api) -> None:
    headers = await as_ordinary(at_work)
    first = await register(at_work, URL, headers=headers, version="1", region="eu", runtime="node")
    assert (first["scope_kind"], first["scope_key"], first["project_id"]) == ("project", str(PROJECT), str(PROJECT))
    assert (first["service_name"], first["agent_id"], first["invoke_url"]) == ("helper", "writer", f"{URL}/api/runs")
    assert (first["status"], first["capabilities"], first["metadata"]) == ("active", None, None)
    again = await register(at_work, f"{URL}:8443", headers=headers, version="2")
    assert (again["id"], again["created_at"]) == (first["id"], first["created_at"])
    assert (again["version"], again["region"], again["base_url"]) == ("2", None, f"{URL}:8443")
    other = await register(at_work, URL, headers=headers, service_key="helper:2", project_id=None)
    assert (other["id"] != first["id"], other["project_id"]) == (True, str(PROJECT))
    beaten = (await at_work.json("POST", f"{ALL}/{first['id']}/heartbeat", headers=headers))["service"]
    assert beaten["last_heartbeat_at"] >= again["last_heartbeat_at"]
    listed = (await at_work.json("GET", ALL, headers=headers))["services"]
    assert [one["id"] for one in listed] == [first["id"], other["id"]]


async def test_an_operator_disables_and_forgets_a_service(at_work: Api) -> None:
    one = await register(at_work, URL)
    path = f"{ALL}/{one['id']}"
    assert (await at_work.json("PATCH", path, {"status": "disabled"}))["service"]["status"] == "disabled"
    assert (await register(at_work, URL))["status"] == "disabled", "an operator's word"
    assert (await at_work.json("POST", f"{path}/heartbeat"))["service"]["status"] == "disabled"
    assert (await at_work.json("PATCH", path, {"status": "active"}))["service"]["status"] == "active"
    assert (await at_work.client.delete(path)).status_code == 204
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/heartbeat")):
        assert (await at_work.problem(method, where, 404))["code"] == "push_service_not_found"
    assert (await register(at_work, URL))["id"] != one["id"]


async def test_services_of_others_are_not_there_and_global_ones_are_an_administrators(at_work: Api) -> None:
    ordinary = await as_ordinary(at_work)
    reader = await as_ordinary(at_work, scopes=["runs:read"])
    theirs = (await at_work.json("POST", "/projects", {"slug": "theirs", "name": "Theirs"}))["id"]
    one = await register(at_work, URL, project_id=theirs)
    everywhere = await register(at_work, URL, scope_kind="global", project_id=None)
    assert (everywhere["scope_kind"], everywhere["scope_key"], everywhere["project_id"]) == ("global", "global", None)
    assert [s["id"] for s in (await at_work.json("GET", ALL, headers=ordinary))["services"]] == [everywhere["id"]]
    assert len((await at_work.json("GET", ALL))["services"]) == 2
    for method, where in (("GET", ""), ("DELETE", ""), ("POST", "/heartbeat")):
        await at_work.problem(method, f"{ALL}/{one['id']}{where}", 404, headers=ordinary)
    assert (await at_work.json("GET", f"{ALL}/{everywhere['id']}", headers=reader))["service"] == everywhere
    for method, where in (("DELETE", ""), ("POST", "/heartbeat")):
        await at_work.problem(method, f"{ALL}/{everywhere['id']}{where}", 403, headers=ordinary)
    body = {"service_name": "x", "service_key": "x", "base_url": URL, "invoke_url": URL}
    await at_work.problem("POST", ALL, 403, headers=ordinary, json={**body, "scope_kind": "global"})
    await at_work.problem("POST", ALL, 403, headers=reader, json={**body, "scope_kind": "project"})
    await at_work.problem(
        "POST", ALL, 404, headers=ordinary, json={**body, "scope_kind": "project", "project_id": theirs}
    )
    assert (await at_work.problem("GET", f"{ALL}/nothing", 404))["code"] == "push_service_not_found"
    await at_work.problem("GET", f"{ALL}/{uuid4()}", 404)


@pytest.mark.parametrize(
    ("member", "url", "code"),
    [
        ("base_url", "http://127.0.0.1:9", "egress_refused"),
        ("invoke_url", "http://169.254.169.254/latest", "egress_refused"),
        ("invoke_url", "http://localhost:9/api/runs", "egress_refused"),
        ("invoke_url", "ftp://runtime.example/x", "invalid_request"),
        ("invoke_url", "https://me:secret@runtime.example/", "invalid_request"),
        ("base_url", "runtime.example", "invalid_request"),
    ],
)
async def test_urls_that_are_never_called_are_refused_at_once(at_work: Api, member: str, url: str, code: str) -> None:
    body = {
        "service_name": "x", "service_key": "x", "scope_kind": "project", "base_url": URL, "invoke_url": URL,
        member: url,
    }  # fmt: skip
    problem = await at_work.problem("POST", ALL, 400, json=body)
    assert (problem["code"], problem["pointer"]) == (code, f"/{member}")
    if code == "egress_refused":
        assert "PERDURE_EGRESS_ALLOW" in problem["detail"]
    assert (await at_work.json("GET", ALL))["services"] == []
    open_to_loopback(at_work)
    await register(at_work, "http://127.0.0.1:9")


async def test_an_agent_that_a_service_serves_is_known(at_work: Api) -> None:
    body = agent_run(agent_id="remote", initial_status="pending", input={"messages": []})
    body["request"]["input"]["context"] = {"project_id": None, "branch_id": None}
    assert (await at_work.problem("POST", "/runs", 404, json=body))["code"] == "agent_not_found"
    await register(at_work, URL, agent_id="remote")
    assert (await at_work.json("POST", "/runs", body))["run"]["status"] == "pending"
