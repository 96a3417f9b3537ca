"""`perdure conversations`, `inputs` and `schedules`."""

from __future__ import annotations

from tests.cli.conftest import Terminal
from tests.http.runs_app import Api
from tests.http.test_input_requests import form


async def test_conversations(terminal: Terminal, at_work: Api) -> None:
    made = await at_work.json("POST", "/conversations", {"title": "Lamps"})
    message = {"role": "user", "parts": [{"type": "text", "text": "Two lamps."}]}
    await at_work.json("POST", f"/conversations/{made['id']}/messages", message)
    listed = await terminal.run("conversations", "list")
    assert made["id"] in listed.out and "Lamps" in listed.out
    assert (await terminal.run("conversations", "list", "--json")).json["data"][0]["id"] == made["id"]
    shown = await terminal.run("conversations", "show", made["id"])
    assert shown.out.splitlines() == ["user", "Two lamps."]
    assert (await terminal.run("conversations", "delete", made["id"])).code == 0
    gone = await terminal.run("conversations", "show", made["id"])
    assert gone.code != 0 and "conversation_not_found" in gone.err


async def test_inputs(terminal: Terminal, at_work: Api) -> None:
    path, key = await at_work.conversation_run()
    conversation = path.split("/")[2]
    made = await at_work.client.post(f"/conversations/{conversation}/input-requests", json=form(key.run_id))
    request = made.json()["id"]
    listed = await terminal.run("inputs", "list", conversation)
    assert request in listed.out and "Tea" in listed.out
    wrong = await terminal.run("inputs", "respond", conversation, request, "ada")
    assert wrong.code != 0 and "JSON object" in wrong.err
    done = await terminal.run("inputs", "respond", conversation, request, '{"who": "ada"}')
    assert done.code == 0 and "Tea: submitted." in done.err
    assert "Nothing waits" in (await terminal.run("inputs", "list", conversation)).err
    everything = await terminal.run("inputs", "list", conversation, "--all", "--json")
    assert everything.json["data"][0]["latest_response"]["values"]["who"] == "ada"


async def test_schedules(terminal: Terminal, at_work: Api) -> None:
    created = await terminal.run("schedules", "create", "Often", "0 8 * * *", "echo", "--prompt", "hello")
    schedule = created.out.strip()
    assert created.code == 0 and "Often: active, next " in created.err
    assert schedule in (await terminal.run("schedules", "list")).out
    run_id = (await terminal.run("schedules", "trigger", schedule)).out.strip()
    run = await at_work.json("GET", f"/runs/{run_id}")
    assert run["input"]["messages"] == [{"role": "user", "content": "hello"}]
    assert (await terminal.run("schedules", "pause", schedule, "--json")).json["status"] == "paused"
    assert (await terminal.run("schedules", "resume", schedule, "--json")).json["status"] == "active"
    assert (await terminal.run("schedules", "delete", schedule)).code == 0
    assert "no schedules" in (await terminal.run("schedules", "list")).err


async def test_the_signing_key(terminal: Terminal, at_work: Api) -> None:
    kids = [key["kid"] for key in (await at_work.json("GET", "/.well-known/jwks.json"))["keys"]]
    made = await terminal.run("keys", "rotate-signing", "--json")
    assert made.code == 0, made.err
    assert made.json["kid"] not in kids
