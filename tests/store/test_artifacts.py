"""The files of runs: two writers, fences, forks, what breaks off, and bytes that nobody points at (vertesia.md 5)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from perdure.blobs.blobs import Blobs, blob_name
from perdure.domain.artifact import (
    NOT_THERE,
    Artifact,
    ArtifactVisibility,
    BlobName,
    Disposition,
    NewArtifact,
    artifact_path,
)
from perdure.domain.errors import (
    ArtifactNotFound,
    InvalidRequest,
    PayloadTooLarge,
    PreconditionFailed,
    RunNotFound,
    StaleFence,
    Unavailable,
)
from perdure.domain.ids import RunId, RunKey
from perdure.domain.run import Executor, Status
from perdure.services import artifacts, lifecycle
from perdure.services.core import Core
from perdure.store import artifacts as store
from perdure.store.runs import at
from tests.store.blob_places import TestedPlace, chunks_of, folder_place
from tests.store.harness import PROJECT, ManualClock, events_of, new_run, server, whole_log

PATH = artifact_path("out/report.txt")
HOUR = 3_600_000


@dataclass
class Kept:
    """A server with a folder for its files."""

    core: Core
    clock: ManualClock
    tested: TestedPlace

    async def write(self, key: RunKey, text: str = "one", **more: object) -> Artifact:
        new = NewArtifact(key, PATH, "text/plain")
        for name, value in more.items():
            object.__setattr__(new, name, value)
        return await artifacts.write(self.core, new, artifacts.once(text.encode()))

    async def text(self, key: RunKey) -> str:
        opened = await artifacts.read(self.core, key, PATH)
        return b"".join([chunk async for chunk in opened.chunks]).decode()

    async def execute(self, sql: str, *values: object) -> None:
        async with self.core.database.connection() as connection:
            await connection.execute(sql, *values)


@asynccontextmanager
async def kept_at(dsn: str, folder: Path) -> AsyncIterator[Kept]:
    clock = ManualClock()
    tested = folder_place(folder)
    async with server(dsn, clock=clock, blobs=Blobs(tested.place)) as core:
        yield Kept(core, clock, tested)


async def test_a_file_is_written_read_listed_and_deleted(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        made = await kept.write(key, "héllo", disposition=Disposition.INLINE, file_name="r.txt", created_by="key:a")
        assert (made.size, made.content_type, made.file_name) == (6, "text/plain", "r.txt")
        assert await artifacts.get(kept.core, key, PATH) == made
        assert await kept.text(key) == "héllo"
        assert [one.path for one in await artifacts.list_all(kept.core, key)] == [PATH]
        assert kept.tested.objects() == {made.blob}
        await artifacts.delete(kept.core, key, PATH)
        assert kept.tested.objects() == set()
        with pytest.raises(ArtifactNotFound):
            await artifacts.get(kept.core, key, PATH)
        with pytest.raises(ArtifactNotFound):
            await artifacts.delete(kept.core, key, PATH)


async def test_a_list_shows_what_its_visibility_says(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        for path in ("out/b.txt", "out/a.txt", "tools.json", "files/x%_.csv"):
            await artifacts.write(kept.core, NewArtifact(key, artifact_path(path)), artifacts.once(b""))

        async def listed(visibility: ArtifactVisibility, prefix: str = "") -> list[str]:
            return [one.path for one in await artifacts.list_all(kept.core, key, visibility=visibility, prefix=prefix)]

        assert await listed(ArtifactVisibility.USER) == ["files/x%_.csv", "out/a.txt", "out/b.txt"]
        assert await listed(ArtifactVisibility.INTERNAL) == ["tools.json"]
        assert len(await listed(ArtifactVisibility.ALL)) == 4
        assert await listed(ArtifactVisibility.ALL, "out/") == ["out/a.txt", "out/b.txt"]
        assert await listed(ArtifactVisibility.ALL, "files/x%_") == ["files/x%_.csv"]
        assert await listed(ArtifactVisibility.ALL, "o%") == []


async def test_each_write_has_a_higher_generation_and_other_bytes(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        first = await kept.write(key, "one")
        kept.clock.now += 1
        second = await kept.write(key, "two")
        assert second.generation > first.generation
        assert second.etag != first.etag
        assert second.created_at == first.created_at < second.updated_at
        assert kept.tested.objects() == {second.blob}
        await artifacts.delete(kept.core, key, PATH)
        assert (await kept.write(key, "three")).generation > second.generation, "not after a deletion either"


async def test_of_two_writers_with_one_generation_one_wins(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        first = await kept.write(key)
        done = await asyncio.gather(
            *(kept.write(key, f"text {writer}", expected=first.generation) for writer in range(5)),
            return_exceptions=True,
        )
        winners = [one for one in done if isinstance(one, Artifact)]
        assert len(winners) == 1
        assert sum(isinstance(one, PreconditionFailed) for one in done) == 4
        assert await artifacts.get(kept.core, key, PATH) == winners[0]
        await artifacts.sweep(kept.core)
        assert kept.tested.objects() == {winners[0].blob}


async def test_of_two_writers_that_create_one_wins(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        done = await asyncio.gather(
            *(kept.write(key, f"text {writer}", expected=NOT_THERE) for writer in range(5)), return_exceptions=True
        )
        winners = [one for one in done if isinstance(one, Artifact)]
        assert len(winners) == 1
        assert sum(isinstance(one, PreconditionFailed) for one in done) == 4
        with pytest.raises(PreconditionFailed):
            await kept.write(key, expected=winners[0].generation + 1)
        await artifacts.delete(kept.core, key, PATH)
        with pytest.raises(PreconditionFailed):
            await kept.write(key, expected=winners[0].generation)
        assert kept.tested.objects() == set()


async def test_many_writers_at_once_leave_one_file(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        await asyncio.gather(*(kept.write(key, f"text {writer}") for writer in range(8)))
        await artifacts.sweep(kept.core)
        last = await artifacts.get(kept.core, key, PATH)
        assert kept.tested.objects() == {last.blob}
        assert re.fullmatch("text [0-7]", await kept.text(key))


async def test_a_fenced_off_attempt_writes_and_deletes_nothing(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core, executor=Executor.ENGINE, status=Status.PENDING)
        claimed = (await lifecycle.claim(kept.core, "w", ["agent:echo"], 1, 10))[0]
        written = await kept.write(key, "mine", fence=claimed.fence)
        for fence in (claimed.fence - 1, claimed.fence + 1):
            with pytest.raises(StaleFence):
                await kept.write(key, "a zombie's", fence=fence)
            with pytest.raises(StaleFence):
                await artifacts.delete(kept.core, key, PATH, fence=fence)
        await kept.execute("UPDATE run_head SET fence = fence + 1")
        with pytest.raises(StaleFence):
            await kept.write(key, "a zombie's", fence=claimed.fence)
        assert await kept.text(key) == "mine"
        assert kept.tested.objects() == {written.blob}


async def test_a_run_that_is_gone_takes_nothing(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        with pytest.raises(RunNotFound):
            await kept.write(RunKey(PROJECT, RunId("nobody")))
        with pytest.raises(RunNotFound):
            await artifacts.delete(kept.core, RunKey(PROJECT, RunId("nobody")), PATH)
        assert kept.tested.objects() == set()


async def test_a_write_that_breaks_off_leaves_the_file_as_it_was(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        first = await kept.write(key)

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in chunks_of(9 * 1024 * 1024):
                yield chunk
            raise ValueError

        with pytest.raises(ValueError):
            await artifacts.write(kept.core, NewArtifact(key, PATH), chunks())
        begun = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            async for chunk in chunks_of(9 * 1024 * 1024):
                yield chunk
            begun.set()
            await asyncio.Event().wait()

        writing = asyncio.create_task(artifacts.write(kept.core, NewArtifact(key, PATH), endless()))
        await begun.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await artifacts.get(kept.core, key, PATH) == first
        assert kept.tested.objects() == {first.blob}
        async with kept.core.database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM blobs WHERE loose_since IS NOT NULL") == 0
            assert await connection.fetchval("SELECT count(*) FROM dead_blobs") == 0


async def test_the_sweep_leaves_uploads_that_are_under_way(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        name = blob_name(PROJECT)
        await store.announce(kept.core.database, PROJECT, name, at(kept.clock()))
        await kept.core.blobs.put(name, artifacts.once(b"there, and not yet pointed at"))
        kept.clock.now += HOUR - 1
        await artifacts.sweep(kept.core)
        assert kept.tested.objects() == {name}
        await store.touch(kept.core.database, name, at(kept.clock()))
        kept.clock.now += HOUR
        await artifacts.sweep(kept.core)
        assert kept.tested.objects() == {name}
        kept.clock.now += 1
        assert await artifacts.sweep(kept.core) == 1
        assert kept.tested.objects() == set()
        with pytest.raises(Unavailable, match="too long"):
            await store.store(kept.core.database, NewArtifact(key, PATH), name, 1, at(kept.clock()))


async def test_a_fork_shares_the_bytes_and_nothing_else(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        source, fork = await new_run(kept.core), await new_run(kept.core)
        first = await kept.write(source, "shared")
        await artifacts.copy_all(kept.core, source, fork.run_id)
        assert kept.tested.objects() == {first.blob}
        second = await kept.write(fork, "the fork's")
        assert (await kept.text(source), await kept.text(fork)) == ("shared", "the fork's")
        assert kept.tested.objects() == {first.blob, second.blob}
        await artifacts.copy_all(kept.core, source, fork.run_id)
        assert await kept.text(fork) == "the fork's", "what it has stays its own"
        third = await new_run(kept.core)
        await artifacts.copy_all(kept.core, source, third.run_id)
        await artifacts.delete(kept.core, source, PATH)
        assert await kept.text(third) == "shared"
        await artifacts.delete(kept.core, third, PATH)
        assert kept.tested.objects() == {second.blob}


async def test_forks_of_a_file_that_changes_all_the_time_lose_nothing(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        source = await new_run(kept.core)
        await kept.write(source)

        async def rewrite() -> None:
            for number in range(10):
                await kept.write(source, f"text {number}")

        async def fork() -> None:
            for _ in range(5):
                made = await new_run(kept.core)
                await artifacts.copy_all(kept.core, source, made.run_id)
                assert re.fullmatch("one|text [0-9]", await kept.text(made))

        await asyncio.gather(rewrite(), fork(), fork())
        await artifacts.sweep(kept.core)
        async with kept.core.database.connection() as connection:
            named = {row["blob"] for row in await connection.fetch("SELECT DISTINCT blob FROM artifacts")}
        assert kept.tested.objects() == named


async def test_a_deleted_run_takes_its_bytes_along(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key, other = await new_run(kept.core), await new_run(kept.core)
        await kept.write(key)
        left = await kept.write(other)
        await kept.execute("DELETE FROM runs WHERE run_id = $1", key.run_id)
        assert await artifacts.sweep(kept.core) == 1
        assert kept.tested.objects() == {left.blob}


async def test_bytes_that_a_file_points_at_cannot_be_given_up(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        key = await new_run(kept.core)
        made = await kept.write(key)
        await store.abandon(kept.core.database, made.blob)
        assert await artifacts.sweep(kept.core) == 0
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await kept.execute("DELETE FROM blobs")
        assert await kept.text(key) == "one"


async def test_texts_are_edited_under_their_generation(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        core, key = kept.core, await new_run(kept.core)
        with pytest.raises(ArtifactNotFound):
            await artifacts.read_text(core, key, PATH)
        with pytest.raises(ArtifactNotFound):
            await artifacts.write_text(core, key, PATH, "x", "1")
        await kept.write(key, "dräft", disposition=Disposition.INLINE)
        known, text = await artifacts.read_text(core, key, PATH)
        assert text == "dräft"
        changed = await artifacts.write_text(core, key, PATH, "final", str(known.generation))
        assert (changed.content_type, changed.disposition) == ("text/plain", Disposition.INLINE)
        for stale in (str(known.generation), "x", ""):
            with pytest.raises(PreconditionFailed):
                await artifacts.write_text(core, key, PATH, "late", stale)
        assert (await artifacts.read_text(core, key, PATH))[1] == "final"
        with pytest.raises(InvalidRequest):
            await artifacts.write_text(core, key, PATH, "\udc00", str(changed.generation))
        with pytest.raises(PayloadTooLarge):
            await artifacts.write_text(core, key, PATH, "x" * (1024 * 1024 + 1), str(changed.generation))
        await artifacts.write(core, NewArtifact(key, PATH), chunks_of(1024 * 1024 + 1))
        with pytest.raises(PayloadTooLarge):
            await artifacts.read_text(core, key, PATH)
        await artifacts.write(core, NewArtifact(key, PATH), artifacts.once(b"\xff\xfe"))
        with pytest.raises(InvalidRequest):
            await artifacts.read_text(core, key, PATH)


async def test_an_upload_is_told_in_the_log_of_a_run_that_takes_events(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        running = await new_run(kept.core)
        pending = await new_run(kept.core, executor=Executor.ENGINE, status=Status.PENDING)
        for key in (running, pending):
            await artifacts.upload(kept.core, NewArtifact(key, PATH, "text/plain"), artifacts.once(b"abc"))
        told = events_of(await whole_log(kept.core.database, running))
        assert len(told) == 1
        assert '"perdure.artifact"' in told[0][1]
        assert '"path":"out/report.txt","size":3,"contentType":"text/plain","generation":"' in told[0][1]
        assert await whole_log(kept.core.database, pending) == [], "RUN_STARTED comes first"
        assert (await artifacts.get(kept.core, pending, PATH)).size == 3


async def test_a_sweep_goes_on_where_one_stopped(database: str, tmp_path: Path) -> None:
    async with kept_at(database, tmp_path / "blobs") as kept:
        name = BlobName(f"{PROJECT}/left")
        await kept.core.blobs.put(name, artifacts.once(b"x"))
        await kept.execute("INSERT INTO dead_blobs (name, project_id) VALUES ($1, $2)", name, PROJECT)
        assert await artifacts.sweep(kept.core) == 1
        assert await artifacts.sweep(kept.core) == 0
        assert kept.tested.objects() == set()
