"""Where blobs are kept: a folder, or a bucket that a URL names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, S3Config

MEMORY: Final = "memory:///"
SCHEMES: Final = ("file", "s3", "gs", "az", "memory")

_CONNECT: Final = timedelta(seconds=10)
_SILENCE: Final = timedelta(seconds=60)
_WHOLE: Final = timedelta(hours=12)
"""One request may carry a large file to a slow reader; that a store is silent is noticed by `_SILENCE`."""


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """Where blobs are kept, and how to get there.

    `url`: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or `memory:///`.
    `endpoint` is for what speaks S3 and is not Amazon's, or for an emulator. Credentials that are not given come from
    the variables that the provider's own tools read (`AWS_…`, `GOOGLE_…`, `AZURE_…`) or from the machine's role.
    """

    url: str = MEMORY
    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    @property
    def folder(self) -> Path | None:
        """The folder on this machine, where it is one."""
        parts = urlsplit(self.url)
        return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def open_place(place: BlobPlace) -> ObjectStore:
    """The store at a place. Makes a missing folder, readable by its owner only. Raises ValueError for other URLs."""
    folder = place.folder
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LocalStore(folder)
    options: ClientConfig = {
        "connect_timeout": _CONNECT,
        "read_timeout": _SILENCE,
        "timeout": _WHOLE,
        "allow_http": (place.endpoint or "").startswith("http://"),
    }
    match urlsplit(place.url).scheme:
        case "s3":
            return S3Store.from_url(place.url, config=_s3(place), client_options=options)
        case "gs":
            return GCSStore.from_url(place.url, client_options=options)
        case "az":
            if place.endpoint is not None:
                return AzureStore.from_url(place.url, client_options=options, endpoint=place.endpoint)
            return AzureStore.from_url(place.url, client_options=options)
        case "memory":
            return MemoryStore()
        case scheme:
            raise ValueError(f"blobs cannot be kept at {scheme}://; use one of {', '.join(SCHEMES)}")


def _s3(place: BlobPlace) -> S3Config:
    config: S3Config = {}
    if place.endpoint is not None:
        config["endpoint"] = place.endpoint
    if place.region is not None:
        config["region"] = place.region
    if place.access_key_id is not None:
        config["access_key_id"] = place.access_key_id
    if place.secret_access_key is not None:
        config["secret_access_key"] = place.secret_access_key
    return config
