"""The files of runs over HTTP: two ways of uploading, signed URLs, ranges, conditions, edits (vertesia.md 1.4, 5)."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from perdure.blobs.blobs import Blobs
from perdure.domain.artifact import Disposition
from perdure.http.context import HttpSettings
from perdure.http.files import content_disposition
from tests.http.runs_app import ADMIN_KEY, Api, api, problem_in, served
from tests.store.blob_places import chunks_of, folder_place
from tests.store.harness import eventually

TEXT = b"0123456789"
AUTHORIZED = {"Authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest_asyncio.fixture
async def at_work(database: str, folder: Path) -> AsyncIterator[Api]:
    async with api(database, blobs=Blobs(folder_place(folder).place)) as running:
        yield running


async def new_run(at_work: Api, **body: object) -> str:
    """The path of a new agent run."""
    made = await at_work.json("POST", "/api/v1/agents", {"interaction": "echo", "data": {"task": "x"}, **body})
    return f"/api/v1/agents/{made['id']}"


async def error(at_work: Api, method: str, path: str, status: int, **more: Any) -> str:
    """The message of an error of the Agent Runs dialect."""
    answer = await at_work.client.request(method, path, **more)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["status"] == status
    assert set(body) <= {"error", "status", "message", "details"}
    return str(body["message"])


async def outside(method: str, at_work: Api, url: str, **more: Any) -> httpx.Response:
    """A request of somebody who has nothing but the URL."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(at_work.app)) as client:
        return await client.request(method, url, **more)


async def uploaded(
    at_work: Api, run: str, name: str = "out/a.txt", body: bytes = TEXT, kind: str = "text/plain"
) -> str:
    """Upload as the client does, in two steps; answers the URL of the second."""
    step = await at_work.json("PUT", f"{run}/artifacts/{name}", headers={"content-type": kind})
    answer = await outside("PUT", at_work, step["url"], content=body, headers={"content-type": kind})
    assert answer.status_code == 200, answer.text
    return str(step["url"])


async def read_url(at_work: Api, run: str, name: str = "out/a.txt", **query: str) -> str:
    answer = await at_work.json("GET", f"{run}/artifacts/{name}", params={"url": "1", **query})
    assert set(answer) == {"url", "path"}
    return str(answer["url"])


async def test_an_upload_in_two_steps_comes_back_as_it_was(at_work: Api) -> None:
    run = await new_run(at_work)
    run_id = run.rpartition("/")[2]
    step = await at_work.json("PUT", f"{run}/artifacts/out/a.txt", headers={"content-type": "text/csv"})
    assert step["path"] == f"agents/{run_id}/out/a.txt"
    assert step["url"].startswith("http://test/artifacts/signed/")
    assert await at_work.json("GET", f"{run}/artifacts") == []
    stored = await outside("PUT", at_work, step["url"], content=TEXT, headers={"content-type": "text/csv"})
    assert stored.json()["path"] == "out/a.txt"
    assert await at_work.json("GET", f"{run}/artifacts") == [f"agents/{run_id}/out/a.txt"]
    for answer in (
        await at_work.client.get(f"{run}/artifacts/out/a.txt"),
        await outside("GET", at_work, await read_url(at_work, run)),
    ):
        assert answer.content == TEXT
        assert answer.headers["content-type"] == "text/csv"
        assert answer.headers["etag"] == stored.headers["etag"]
        assert answer.headers["content-length"] == "10"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("sandbox;")
        assert answer.headers["content-disposition"] == 'attachment; filename="a.txt"'


async def test_a_body_is_stored_at_once(at_work: Api) -> None:
    run = await new_run(at_work)
    answer = await at_work.json("PUT", f"{run}/artifacts/big.bin", content=b"x" * 9_000_000)
    assert (await outside("GET", at_work, answer["url"])).content == b"x" * 9_000_000
    got = await at_work.client.get(f"{run}/artifacts/big.bin")
    assert got.headers["content-type"] == "application/octet-stream"
    log = await at_work.json("GET", f"/runs/{run.rpartition('/')[2]}")
    assert log["status"] == "pending"


async def test_lists_show_what_their_visibility_says(at_work: Api) -> None:
    run = await new_run(at_work)
    for name in ("out/a.txt", "conversation.json", "tool-results/1"):
        await uploaded(at_work, run, name)
    full = f"agents/{run.rpartition('/')[2]}"

    async def listed(**query: str) -> Any:
        return await at_work.json("GET", f"{run}/artifacts", params=query)

    assert await listed() == await listed(visibility="user") == [f"{full}/out/a.txt"]
    assert await listed(visibility="internal") == [f"{full}/conversation.json", f"{full}/tool-results/1"]
    assert len(await listed(visibility="all")) == 3
    await error(at_work, "GET", f"{run}/artifacts", 400, params={"visibility": "secret"})
    assert (await outside("GET", at_work, await read_url(at_work, run, "conversation.json"))).content == TEXT


async def test_names_of_all_kinds_survive(at_work: Api) -> None:
    run = await new_run(at_work)
    for sent, kept in (
        ("files/100%%20done.docx", "files/100% done.docx"),
        ("out/r%C3%A9p%20ort.pdf", "out/rép ort.pdf"),
        ("a%2Fb%23%3F.txt", "a/b#?.txt"),
    ):
        await uploaded(at_work, run, sent)
        answer = await at_work.json("GET", f"{run}/artifacts/{sent}", params={"url": "true"})
        assert answer["path"] == f"agents/{run.rpartition('/')[2]}/{kept}"
        assert (await outside("GET", at_work, answer["url"])).content == TEXT


@pytest.mark.parametrize("path", ["..%2fx", "%2e%2e%2f%2e%2e%2fetc/passwd", "a/%2e%2e/b", "%2fetc", "a%5Cb", "a%00b"])
async def test_no_path_leaves_the_run(at_work: Api, folder: Path, path: str) -> None:
    run = await new_run(at_work)
    async with served(at_work.app) as base:
        for method, suffix in (("GET", ""), ("PUT", ""), ("GET", "?url=1")):
            reader, writer = await asyncio.open_connection(urlsplit(base).hostname, urlsplit(base).port)
            head = f"{method} {run}/artifacts/{path}{suffix} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            writer.write(f"{head}Authorization: Bearer {ADMIN_KEY}\r\nConnection: close\r\n\r\nx".encode())
            status = (await reader.readline()).split()[1]
            writer.close()
            assert status in (b"400", b"404"), (method, path)
    assert folder_place(folder).objects() == set()


async def test_signed_urls_do_one_thing_only(at_work: Api) -> None:
    run = await new_run(at_work)
    write = await uploaded(at_work, run)
    read = await read_url(at_work, run)
    assert (await outside("HEAD", at_work, read)).status_code == 200
    for method, url in (("GET", write), ("HEAD", write), ("PUT", read), ("DELETE", read), ("POST", write)):
        assert (await outside(method, at_work, url)).status_code in (403, 405)
    for changed in (read[:-1] + ("A" if read[-1] != "A" else "B"), read + "A", read.replace("/signed/", "/signed/A")):
        problem = problem_in(await outside("GET", at_work, changed))
        assert problem["status"] == 403
        assert problem["code"] == "signed_url_refused"
        assert problem["instance"] == "/artifacts/signed/-"
    other = await new_run(at_work)
    assert (await outside("GET", at_work, read, headers={"x-run": other})).content == TEXT


async def test_signed_urls_end(at_work: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await new_run(at_work)
    await uploaded(at_work, run)
    read = await read_url(at_work, run)
    clock = at_work.core.clock
    object.__setattr__(at_work.core, "clock", lambda: clock() + 15 * 60_000 + 1)
    answer = await outside("GET", at_work, read)
    assert answer.status_code == 403
    assert "expired" in answer.json()["detail"]


async def test_signed_urls_begin_with_the_public_address(database: str) -> None:
    async with api(database, HttpSettings(public_url="https://runs.example.com")) as at_work:
        run = await new_run(at_work)
        step = await at_work.json("PUT", f"{run}/artifacts/a")
        assert step["url"].startswith("https://runs.example.com/artifacts/signed/")


@pytest.mark.parametrize(
    ("asked", "status", "expected", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-300", 206, TEXT, "bytes 0-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=-0", 416, None, "bytes */10"),
        ("bytes=3-1", 200, TEXT, None),
        ("bytes=0-1,4-5", 200, TEXT, None),
        ("lines=0-1", 200, TEXT, None),
        ("bytes=", 200, TEXT, None),
        ("bytes=-", 200, TEXT, None),
    ],
)
async def test_parts(at_work: Api, asked: str, status: int, expected: bytes | None, content_range: str | None) -> None:
    run = await new_run(at_work)
    await uploaded(at_work, run)
    url = await read_url(at_work, run)
    for method in ("GET", "HEAD"):
        answer = await outside(method, at_work, url, headers={"Range": asked})
        assert answer.status_code == status
        assert answer.headers.get("content-range") == content_range
        if method == "GET" and expected is not None:
            assert answer.content == expected
            assert answer.headers["content-length"] == str(len(expected))


async def test_conditions(at_work: Api) -> None:
    run = await new_run(at_work)
    await uploaded(at_work, run)
    url = await read_url(at_work, run)
    first = await outside("GET", at_work, url)
    tag, changed = first.headers["etag"], first.headers["last-modified"]
    for name, value, status in (
        ("If-None-Match", tag, 304),
        ("If-None-Match", f'"x", W/{tag}', 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", '"x"', 200),
        ("If-Modified-Since", changed, 304),
        ("If-Modified-Since", formatdate(0, usegmt=True), 200),
        ("If-Modified-Since", "yesterday", 200),
        ("If-Match", tag, 200),
        ("If-Match", '"x"', 412),
        ("If-Match", f"W/{tag}", 412),
    ):
        answer = await outside("GET", at_work, url, headers={name: value})
        assert answer.status_code == status, (name, value)
        if status == 304:
            assert answer.content == b""
            assert answer.headers["etag"] == tag
    for if_range, status in ((tag, 206), (changed, 206), ('"x"', 200), (f"W/{tag}", 200)):
        answer = await outside("GET", at_work, url, headers={"Range": "bytes=0-1", "If-Range": if_range})
        assert answer.status_code == status, if_range


async def test_writes_may_be_conditional(at_work: Api) -> None:
    run = await new_run(at_work)
    write = await uploaded(at_work, run)
    tag = (await at_work.client.get(f"{run}/artifacts/out/a.txt")).headers["etag"]
    for headers, status in (
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": tag}, 412),
        ({"If-Match": '"x"'}, 412),
        ({"If-Match": tag}, 200),
        ({"If-Match": tag}, 412),
        ({"If-Match": "*"}, 200),
    ):
        assert (await outside("PUT", at_work, write, content=b"new", headers=headers)).status_code == status, headers
    fresh = (await at_work.json("PUT", f"{run}/artifacts/b"))["url"]
    assert (await outside("PUT", at_work, fresh, content=b"x", headers={"If-Match": "*"})).status_code == 412
    assert (await outside("PUT", at_work, fresh, content=b"x", headers={"If-None-Match": "*"})).status_code == 200


async def test_a_download_is_called_what_the_url_says(at_work: Api) -> None:
    run = await new_run(at_work)
    await uploaded(at_work, run, kind="text/html")
    url = await read_url(at_work, run, disposition="inline", filename="Bericht für \u2713.html")
    answer = await outside("GET", at_work, url)
    assert answer.headers["content-disposition"] == (
        "inline; filename=\"Bericht f_r _.html\"; filename*=UTF-8''Bericht%20f%C3%BCr%20%E2%9C%93.html"
    )
    assert "sandbox" in answer.headers["content-security-policy"]
    await error(at_work, "GET", f"{run}/artifacts/out/a.txt", 400, params={"url": "1", "filename": "a/b"})
    await error(at_work, "GET", f"{run}/artifacts/out/a.txt", 400, params={"url": "1", "disposition": "x"})
    assert content_disposition(Disposition.ATTACHMENT, 'a"b.txt') == 'attachment; filename="a_b.txt"'


async def test_what_is_not_there_is_404(at_work: Api) -> None:
    run = await new_run(at_work)
    for method, path in (("GET", "artifacts/x"), ("GET", "artifacts/x?url=1"), ("GET", "artifact-content/x")):
        await error(at_work, method, f"{run}/{path}", 404)
    await error(at_work, "PUT", f"{run}/artifact-content/x", 404, json={"content": "", "generation": "1"})
    for method, path in (("GET", "artifacts"), ("PUT", "artifacts/x")):
        await error(at_work, method, f"/api/v1/agents/{'0' * 24}/{path}", 404)


async def test_texts_are_edited_under_their_generation(at_work: Api) -> None:
    run = await new_run(at_work)
    await uploaded(at_work, run, body="dräft".encode())
    path = f"{run}/artifact-content/out/a.txt"
    read = await at_work.json("GET", path)
    assert read == {"path": "out/a.txt", "content": "dräft", "generation": read["generation"]}
    written = await at_work.json("PUT", path, {"content": "final", "generation": read["generation"]})
    assert set(written) == {"path", "generation"}
    assert written["generation"] != read["generation"]
    await error(at_work, "PUT", path, 412, json={"content": "late", "generation": read["generation"]})
    await uploaded(at_work, run, body=b"by a signed URL")
    await error(at_work, "PUT", path, 412, json={"content": "late", "generation": written["generation"]})
    await error(at_work, "PUT", path, 400, json={"content": "late"})
    await uploaded(at_work, run, body=b"x" * (1024 * 1024 + 1))
    await error(at_work, "GET", path, 413)


async def test_somebody_elses_files_are_not_there(at_work: Api) -> None:
    run = await new_run(at_work, visibility="private")
    await uploaded(at_work, run)
    other = {"Authorization": f"Bearer {await at_work.new_key()}"}
    reader = {"Authorization": f"Bearer {await at_work.new_key(scopes=['runs:read'])}"}
    for method, path in (("GET", "artifacts"), ("GET", "artifacts/out/a.txt"), ("GET", "artifacts/out/a.txt?url=1"),
                         ("PUT", "artifacts/b"), ("GET", "artifact-content/out/a.txt")):  # fmt: skip
        await error(at_work, method, f"{run}/{path}", 404, headers=other)
    public = await new_run(at_work)
    await error(at_work, "PUT", f"{public}/artifacts/b", 403, headers=reader)


async def test_a_client_that_goes_away_leaves_nothing(at_work: Api, folder: Path) -> None:
    run = await new_run(at_work)
    step = await at_work.json("PUT", f"{run}/artifacts/out/a.txt")
    async with served(at_work.app) as base:
        for path in (urlsplit(step["url"]).path, f"{run}/artifacts/out/a.txt"):
            address = urlsplit(base)
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            head = f"PUT {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 40000000\r\n"
            writer.write(f"{head}Authorization: Bearer {ADMIN_KEY}\r\n\r\n".encode() + b"x" * 20_000_000)
            await writer.drain()
            await eventually(lambda: bool(folder_place(folder).objects()))
            writer.transport.abort()
            await eventually(lambda: not folder_place(folder).objects())
    assert await at_work.json("GET", f"{run}/artifacts", params={"visibility": "all"}) == []


async def test_a_file_that_is_too_large_is_refused(database: str, folder: Path) -> None:
    async with api(database, blobs=Blobs(folder_place(folder).place, limit=1000)) as at_work:
        run = await new_run(at_work)
        await error(at_work, "PUT", f"{run}/artifacts/a", 413, content=b"x" * 1001)

        async def unannounced() -> AsyncIterator[bytes]:
            yield b"x" * 1001

        await error(at_work, "PUT", f"{run}/artifacts/a", 413, content=unannounced())
        step = await at_work.json("PUT", f"{run}/artifacts/a")
        assert (await outside("PUT", at_work, step["url"], content=b"x" * 1001)).status_code == 413
        assert folder_place(folder).objects() == set()
        await uploaded(at_work, run, "a", b"")
        assert (await at_work.client.get(f"{run}/artifacts/a")).content == b""


async def test_the_canonical_run_names_its_files_and_its_conversation_takes_them_along(
    at_work: Api, folder: Path
) -> None:
    path, key = await at_work.conversation_run()
    step = await at_work.json("PUT", f"/api/v1/agents/{key.run_id}/artifacts/out/a.txt")
    await outside("PUT", at_work, step["url"], content=TEXT, headers={"content-type": "text/plain"})
    run = await at_work.json("GET", f"/runs/{key.run_id}")
    assert run["artifacts"] == [{"path": "out/a.txt", "contentType": "text/plain", "size": 10}]
    events = await at_work.json("GET", f"/runs/{key.run_id}/events")
    assert "perdure.artifact" in str(events)
    assert len(folder_place(folder).objects()) == 1
    gone = await at_work.client.delete(path.rpartition("/runs/")[0])
    assert gone.is_success, gone.text
    assert folder_place(folder).objects() == set()
    assert (await outside("PUT", at_work, step["url"], content=TEXT)).status_code == 404
    assert folder_place(folder).objects() == set()


async def test_a_fork_has_the_files_of_its_source_and_its_own_afterwards(at_work: Api, folder: Path) -> None:
    run = await new_run(at_work)
    await uploaded(at_work, run)
    made = await at_work.json("POST", f"{run}/fork")
    fork = f"/api/v1/agents/{made['id']}"
    assert await at_work.json("GET", f"{fork}/artifacts") == [f"agents/{made['id']}/out/a.txt"]
    assert (await at_work.client.get(f"{fork}/artifacts/out/a.txt")).content == TEXT
    assert len(folder_place(folder).objects()) == 1
    await uploaded(at_work, fork, body=b"the fork's")
    assert (await at_work.client.get(f"{run}/artifacts/out/a.txt")).content == TEXT
    assert (await at_work.client.get(f"{fork}/artifacts/out/a.txt")).content == b"the fork's"


async def test_200_mb_go_up_and_down_through_constant_memory(at_work: Api) -> None:
    run = await new_run(at_work)
    size = 200 * 1024 * 1024
    async with served(at_work.app) as base, httpx.AsyncClient(headers=AUTHORIZED, timeout=60) as client:
        url = f"{base}{run}/artifacts/out/big.bin"
        (await client.put(url, content=chunks_of(40 * 1024 * 1024))).raise_for_status()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        (await client.put(url, content=chunks_of(size))).raise_for_status()
        read = 0
        async with client.stream("GET", url) as answer:
            async for piece in answer.aiter_bytes():
                read += len(piece)
        assert read == size
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 * 1024
