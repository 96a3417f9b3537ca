"""Files that a run's own code writes: under its fence, and told in its log (`ctx.artifacts`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from perdure.blobs.blobs import Blobs
from perdure.domain.errors import ArtifactNotFound, InvalidRequest
from perdure.domain.ids import RunKey
from perdure.domain.run import Executor as Executes
from perdure.domain.run import Status
from perdure.execution.attempt import Attempt
from perdure.execution.executor import Executor, RunKind
from perdure.execution.log import Completed, Outcome, RunContext
from perdure.services import artifacts, lifecycle, runs
from perdure.services.core import Core
from perdure.telemetry import Tracing
from tests.store.blob_places import chunks_of, folder_place
from tests.store.harness import ROUTE, events_of, new_run, server, whole_log


async def executed(core: Core, kind: RunKind) -> RunKey:
    """A run that `kind` was executed for, once."""
    key = await new_run(core, executor=Executes.ENGINE, status=Status.PENDING)
    claimed = (await lifecycle.claim(core, "w", [ROUTE], 1, 10))[0]
    executor = Executor(core, lambda run: kind, 0.01, Tracing())
    await executor.execute(Attempt(claimed, await runs.get(core, key)))
    return key


async def test_a_run_writes_reads_lists_and_deletes(database: str, tmp_path: Path) -> None:
    tested = folder_place(tmp_path / "blobs")

    async def work(ctx: RunContext) -> Outcome:
        files = ctx.artifacts
        await files.write("out/report.md", "# Häuser")
        await files.write("out/data.bin", chunks_of(9_000_000), "application/x-data")
        await files.write("tools.json", b"{}")
        assert await files.read("out/report.md") == "# Häuser".encode()
        assert sum([len(piece) async for piece in files.stream("out/data.bin")]) == 9_000_000
        await files.delete("out/data.bin")
        for gone in ("out/data.bin", "out"):
            with pytest.raises(ArtifactNotFound):
                await files.read(gone)
        with pytest.raises(InvalidRequest):
            await files.write("../x", b"")
        return Completed(
            [[one.path for one in await files.list()], [one.path for one in await files.list("out/", "user")]]
        )

    async with server(database, blobs=Blobs(tested.place)) as core:
        key = await executed(core, work)
        run = await runs.get(core, key)
        assert run.status is Status.COMPLETED, run.error
        assert run.output is not None
        assert msgspec.json.decode(run.output) == [["out/report.md", "tools.json"], ["out/report.md"]]
        told = [msgspec.json.decode(line) for _, line in events_of(await whole_log(core.database, key))]
        values = [event["value"] for event in told if event.get("name") == "perdure.artifact"]
        assert [(value["path"], value["size"], value["contentType"]) for value in values] == [
            ("out/report.md", 9, "text/markdown"),
            ("out/data.bin", 9_000_000, "application/x-data"),
            ("tools.json", 2, "application/json"),
        ]
        assert (await artifacts.list_all(core, key))[0].created_by == "agent"
        assert len(tested.objects()) == 2


async def test_an_attempt_that_lost_its_run_writes_nothing(database: str, tmp_path: Path) -> None:
    tested = folder_place(tmp_path / "blobs")
    reached: list[str] = []

    async with server(database, blobs=Blobs(tested.place)) as core:

        async def work(ctx: RunContext) -> Outcome:
            await core.database.execute("UPDATE run_head SET fence = fence + 1")
            reached.append("before")
            await ctx.artifacts.write("a", b"late")
            reached.append("after")
            return Completed()

        key = await executed(core, work)
        assert reached == ["before"]
        assert (await runs.get(core, key)).status is Status.RUNNING, "it is another attempt's to end"
        assert await artifacts.list_all(core, key) == []
        assert tested.objects() == set()


async def test_a_stream_that_raises_fails_the_run_and_leaves_nothing(database: str, tmp_path: Path) -> None:
    tested = folder_place(tmp_path / "blobs")

    async def broken() -> AsyncIterator[bytes]:
        async for chunk in chunks_of(9_000_000):
            yield chunk
        raise ValueError("no more")

    async def work(ctx: RunContext) -> Outcome:
        await ctx.artifacts.write("a", broken())
        return Completed()

    async with server(database, blobs=Blobs(tested.place)) as core:
        run = await runs.get(core, await executed(core, work))
        assert run.status is Status.FAILED
        assert run.error is not None
        assert run.error.message == "ValueError: no more"
        assert tested.objects() == set()
