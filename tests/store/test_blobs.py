"""Blobs in a folder and in a bucket: whole or not at all, in parts, and nothing left of what broke off."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from perdure.blobs.blobs import BlobMissing, Blobs, blob_name
from perdure.blobs.place import BlobPlace, open_place
from perdure.domain.artifact import BlobName
from perdure.domain.errors import PayloadTooLarge, Unavailable
from perdure.domain.ids import ProjectId
from tests.store.blob_places import TestedPlace, chunks_of, folder_place, s3_place
from tests.store.harness import WAIT_SECONDS

MB = 1024 * 1024
NAME = BlobName(f"{UUID(int=1)}/one")
SIZES = [0, 1, 8 * MB - 1, 8 * MB, 8 * MB + 1, 21 * MB]


@pytest.fixture(params=["folder", "s3"])
def tested(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestedPlace]:
    """A place of each kind."""
    if request.param == "folder":
        yield folder_place(tmp_path / "blobs")
        return
    with s3_place() as place:
        yield place


async def whole(blobs: Blobs, name: BlobName, start: int, stop: int) -> bytes:
    return b"".join([chunk async for chunk in await blobs.get(name, start, stop)])


async def test_bytes_come_back_whole_and_in_parts(tested: TestedPlace) -> None:
    blobs = Blobs(tested.place)
    for size in SIZES:
        name = blob_name(ProjectId(UUID(int=1)))
        given = [chunk async for chunk in chunks_of(size)]

        async def chunks(given: list[bytes] = given) -> AsyncIterator[bytes]:
            for chunk in given:
                yield chunk

        body = b"".join(given)
        assert await blobs.put(name, chunks()) == size
        assert hashlib.sha256(await whole(blobs, name, 0, size)).digest() == hashlib.sha256(body).digest()
        assert await whole(blobs, name, size // 3, size // 2) == body[size // 3 : size // 2]
        await blobs.delete([name, name, NAME])
        with pytest.raises(BlobMissing):
            await blobs.get(name, 0, 1)
    assert tested.objects() == tested.uploads() == set()


class SourceBroke(Exception):
    """The client went away."""


@pytest.mark.parametrize("after", [0, 5 * MB, 20 * MB])
async def test_an_upload_whose_source_breaks_leaves_nothing(tested: TestedPlace, after: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in chunks_of(after):
            yield chunk
        raise SourceBroke

    with pytest.raises(SourceBroke):
        await Blobs(tested.place).put(NAME, chunks())
    assert tested.objects() == tested.uploads() == set()


@pytest.mark.parametrize("after", [0, 20 * MB])
async def test_an_upload_that_is_cancelled_leaves_nothing(tested: TestedPlace, after: int) -> None:
    begun = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in chunks_of(after):
            yield chunk
        begun.set()
        await asyncio.Event().wait()

    sending = asyncio.create_task(Blobs(tested.place).put(NAME, chunks()))
    async with asyncio.timeout(WAIT_SECONDS):
        await begun.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert tested.objects() == tested.uploads() == set()


async def test_a_file_over_the_limit_is_refused_while_it_comes_in(tested: TestedPlace) -> None:
    blobs = Blobs(tested.place, limit=20 * MB)
    with pytest.raises(PayloadTooLarge):
        await blobs.put(NAME, chunks_of(20 * MB + 1))
    assert tested.objects() == tested.uploads() == set()
    assert await blobs.put(NAME, chunks_of(20 * MB)) == 20 * MB
    assert tested.objects() == {NAME}


async def test_many_uploads_side_by_side(tested: TestedPlace) -> None:
    blobs = Blobs(tested.place)
    names = [blob_name(ProjectId(UUID(int=1))) for _ in range(4)]
    assert await asyncio.gather(*(blobs.put(name, chunks_of(9 * MB)) for name in names)) == [9 * MB] * 4
    assert tested.objects() == set(names)


async def test_a_large_upload_goes_through_constant_memory(tmp_path: Path) -> None:
    """300 MB more than warmed the process up."""
    blobs = Blobs(folder_place(tmp_path / "blobs").place)
    await blobs.put(NAME, chunks_of(40 * MB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await blobs.put(BlobName("p/large"), chunks_of(300 * MB, MB)) == 300 * MB
    read = 0
    async for chunk in await blobs.get(BlobName("p/large"), 0, 300 * MB):
        read += len(chunk)
    assert read == 300 * MB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


async def test_staged_files_of_killed_processes_go_when_they_are_old(tmp_path: Path) -> None:
    tested = folder_place(tmp_path / "blobs")
    blobs = Blobs(tested.place)
    await blobs.put(NAME, chunks_of(10))
    folder = tested.place.folder
    assert folder is not None
    old, new = folder / f"{NAME}-old#1", folder / f"{NAME}-new#1"
    for file in (old, new, folder / "elsewhere#1"):
        file.write_bytes(b"half")
        os.utime(file, (0, 0) if file != new else None)
    assert await blobs.clear_staged(3600) == 1
    assert not old.exists()
    assert new.exists()
    assert NAME in tested.objects()


async def test_a_folder_is_its_owners_only(tmp_path: Path) -> None:
    await Blobs(folder_place(tmp_path / "blobs").place).put(NAME, chunks_of(1))
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700


async def test_a_store_that_is_away_is_unavailable() -> None:
    with s3_place() as tested:
        place = tested.place
    assert place.endpoint is not None
    with pytest.raises(Unavailable):
        await asyncio.wait_for(Blobs(place).put(NAME, chunks_of(1)), WAIT_SECONDS)


def test_places_are_opened_with_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="ftp://"):
        open_place(BlobPlace("ftp://host/folder"))
    with pytest.raises(Unavailable, match="cannot be kept"):
        Blobs(BlobPlace("az://container/prefix")).open()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    Blobs(BlobPlace("az://container/prefix")).open()
    for url in ("s3://bucket/prefix", "gs://bucket/prefix", "memory:///"):
        Blobs(BlobPlace(url)).open()
