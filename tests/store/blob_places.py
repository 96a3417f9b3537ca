"""Stores for the bytes of files: a folder, and a bucket of a server that speaks S3."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from moto.server import ThreadedMotoServer

from perdure.blobs.place import BlobPlace

_HEADERS = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"}


@dataclass(frozen=True, slots=True)
class TestedPlace:
    """A place, and a look at what is really there."""

    __test__ = False

    place: BlobPlace

    def objects(self) -> set[str]:
        """The names of all blobs, staged files of a folder included."""
        folder = self.place.folder
        if folder is not None:
            return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        return {key.removeprefix("files/") for key in self._keys("?list-type=2", "Key")}

    def uploads(self) -> set[str]:
        """The ids of multipart uploads that neither ended nor were taken back."""
        return set() if self.place.folder is not None else set(self._keys("?uploads", "UploadId"))

    def _keys(self, query: str, tag: str) -> list[str]:
        answer = httpx.get(f"{self.place.endpoint}/{urlsplit(self.place.url).hostname}{query}", headers=_HEADERS)
        answer.raise_for_status()
        return re.findall(rf"<{tag}>([^<]+)</{tag}>", answer.text)


def folder_place(folder: Path) -> TestedPlace:
    """A folder of this machine."""
    return TestedPlace(BlobPlace(folder.as_uri()))


@contextmanager
def s3_place() -> Iterator[TestedPlace]:
    """An empty bucket of moto's server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        bucket = f"files-{uuid4().hex}"  # moto's servers of one process have the same buckets
        httpx.put(f"{endpoint}/{bucket}", headers=_HEADERS).raise_for_status()
        yield TestedPlace(BlobPlace(f"s3://{bucket}/files", endpoint, "us-east-1", "key", "secret"))
    finally:
        server.stop()


async def chunks_of(total: int, chunk: int = 64 * 1024) -> AsyncIterator[bytes]:
    """So many random bytes."""
    while total > 0:
        yield os.urandom(min(chunk, total))
        total -= chunk
