"""A deleted conversation is gone on every server, whatever the server had remembered of it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.http.runs_app import ADMIN_KEY, Api, api, served
from tests.http.test_stream import QUICK, numbered, stream
from tests.store.harness import WAIT_SECONDS, eventually


async def reads(at: Api, conversation: str, run_id: str, key: str) -> dict[str, int]:
    """The status of everything that can be read of a conversation and its run."""
    paths = [f"/conversations/{conversation}", f"/conversations/{conversation}/messages"]
    paths += [f"/conversations/{conversation}/input-requests"]
    paths += [f"/conversations/{conversation}/agent-runs/children-by-parent-conversation"]
    for runs in ("runs", "agent-runs"):
        run = f"/conversations/{conversation}/{runs}/{run_id}"
        paths += [run, f"{run}/events", f"{run}/snapshot"]
    paths += [f"/runs/{run_id}", f"/runs/{run_id}/events"]
    headers = {"Authorization": f"Bearer {key}"}
    answers = await asyncio.gather(*(at.client.get(path, headers=headers) for path in paths))
    return {path: answer.status_code for path, answer in zip(paths, answers, strict=True)}


async def test_another_server_serves_nothing_of_what_was_deleted(database: str) -> None:
    async with api(database, QUICK) as one, api(database, QUICK) as two, served(two.app) as url:
        path, key = await one.conversation_run()
        conversation = path.split("/")[2]
        message = {"role": "user", "parts": [{"type": "text", "text": "Forget this."}]}
        await one.json("POST", f"/conversations/{conversation}/messages", message)
        await one.json("POST", f"/conversations/{conversation}/messages", message)
        ordinary = await one.new_key()
        # The other server remembers the place (an administrator asks), the projection (an append), the log (streams).
        for reader in (ADMIN_KEY, ordinary):
            assert set((await reads(two, conversation, key.run_id, reader)).values()) == {200}
        await two.json("POST", f"{path}/events", {"events": [numbered(1)]})
        async with stream(url, f"/runs/{key.run_id}/stream") as whole, stream(url, f"{path}/stream") as part:
            assert await whole.event()
            assert await part.event()
            await eventually(lambda: all(feed.cursor for feed in two.core.hub._feeds.values()))
            deleted = await one.client.delete(f"/conversations/{conversation}")
            assert deleted.status_code == 204
            for reader in (ADMIN_KEY, ordinary):
                assert set((await reads(two, conversation, key.run_id, reader)).values()) == {404}
            refused = await two.client.post(f"{path}/events", json={"events": [numbered(2)]})
            assert refused.status_code == 404
            for kept in (await whole.events(), await part.events()):
                assert not any('"value":2' in frame for frame in kept)
        for gone in (f"/runs/{key.run_id}/stream", f"{path}/stream"):
            answer = await two.client.get(gone)
            assert answer.status_code == 404
        listed = await two.json("GET", "/runs")
        assert key.run_id not in [run["run_id"] for run in listed["data"]]


@pytest.mark.parametrize("revoked", ["key", "token"])
async def test_a_stream_ends_with_its_readers_key(database: str, revoked: str) -> None:
    """Of the key itself, and of the server's token that was made for it; the reader of another key reads on."""
    settings = type(QUICK)(heartbeat_seconds=0.05, recheck_seconds=0.05)
    async with api(database, settings) as one, api(database, settings) as two, served(two.app) as url:
        path, key = await one.conversation_run()
        made = await one.json("POST", "/keys", {"name": "reader"})
        credential = made["key"]
        if revoked == "token":
            grant = {"grant_type": "client_credentials", "client_id": made["prefix"], "client_secret": made["key"]}
            credential = (await one.json("POST", "/auth/token", grant))["access_token"]
        bearer = {"Authorization": f"Bearer {credential}"}
        async with (
            stream(url, f"/runs/{key.run_id}/stream", **bearer) as reader,
            stream(url, f"/runs/{key.run_id}/stream") as other,
        ):
            await one.json("POST", f"{path}/events", {"events": [numbered(1)]})
            assert await reader.event()
            assert await other.event()
            assert (await one.client.delete(f"/keys/{made['prefix']}")).status_code == 200
            async with asyncio.timeout(WAIT_SECONDS):
                assert await reader.events() == []
            await one.json("POST", f"{path}/events", {"events": [numbered(2)]})
            assert '"value":2' in str(await other.event())
        async with httpx.AsyncClient(base_url=url, headers=bearer) as client:
            assert (await client.get(f"/runs/{key.run_id}/stream")).status_code == 401
