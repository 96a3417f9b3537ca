"""The files that a run's user has attached, read from the signals in its log (vertesia.md 4.1).

A batch is told to the agent once, when it is closed and each of its files has come or was taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from perdure.domain.agent_signals import FILE_BATCH_CLOSED, FILE_REMOVED, FILE_UPLOADED
from perdure.domain.run import USER_INPUT

BATCH_ID: Final = "file_batch_id"
"""Member of the `metadata` of the user's turn that tells of a batch."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file. `reference` is `artifact:<path>`."""

    id: str
    name: str
    reference: str
    content_type: str
    size: object = None


@dataclass(frozen=True, slots=True)
class _Batch:
    file_ids: tuple[str, ...]
    failed: tuple[Mapping[str, Any], ...]


class RunFiles:
    """The running state. Feed it the run's signals from the first on."""

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(_SignalEvent)
        self._files: dict[str, RunFile] = {}
        self._removed: set[str] = set()
        self._batches: dict[str, _Batch] = {}
        self._told: set[str] = set()

    def add_line(self, line: str) -> None:
        """Take in an event of the log, as JSON text."""
        if '"perdure.signal"' not in line:
            return
        event = self._decoder.decode(line)
        if event.name == "perdure.signal" and isinstance(event.value, dict):
            payload = event.value.get("payload")
            self.add(str(event.value.get("name")), payload if isinstance(payload, dict) else {})

    def add(self, name: str, payload: Mapping[str, Any]) -> None:
        """Take in a signal."""
        file_id = str(payload.get("id"))
        match name:
            case _ if name == FILE_UPLOADED:
                self._files[file_id] = _file(file_id, payload)
                self._removed.discard(file_id)
            case _ if name == FILE_REMOVED:
                self._files.pop(file_id, None)
                self._removed.add(file_id)
            case _ if name == FILE_BATCH_CLOSED:
                self._batches.setdefault(str(payload.get("batch_id")), _batch(payload))
            case _ if name == USER_INPUT:
                metadata = payload.get("metadata")
                if isinstance(metadata, dict) and isinstance(metadata.get(BATCH_ID), str):
                    self._told.add(metadata[BATCH_ID])
            case _:
                pass

    def knows(self, name: str, payload: Mapping[str, Any]) -> bool:
        """Whether a signal says nothing new: clients send a closed batch again when they did not hear the answer."""
        return name == FILE_BATCH_CLOSED and str(payload.get("batch_id")) in self._batches

    def due_turn(self) -> dict[str, object] | None:
        """The `UserInput` that tells of the next batch that is settled and was not told of; None where none is."""
        for batch_id, batch in self._batches.items():
            if batch_id not in self._told and all(self._settled(file_id) for file_id in batch.file_ids):
                return self._turn(batch_id, batch)
        return None

    def _settled(self, file_id: str) -> bool:
        return file_id in self._files or file_id in self._removed

    def _turn(self, batch_id: str, batch: _Batch) -> dict[str, object]:
        files = [self._files[file_id] for file_id in batch.file_ids if file_id in self._files]
        lines = ["[Files Ready]", *(f"- {file.name} ({file.content_type}): {file.reference}" for file in files)]
        if batch.failed:
            lines += ["These uploads failed:", *(_failure(upload) for upload in batch.failed)]
        elif not files:
            lines.append("There are no files.")
        attachments = [
            {
                "filename": file.name,
                "content_type": file.content_type,
                "download_url": file.reference,
                **({} if file.size is None else {"size": file.size}),
            }
            for file in files
        ]
        return {"message": "\n".join(lines), "attachments": attachments, "metadata": {BATCH_ID: batch_id}}


class _SignalEvent(msgspec.Struct):
    name: object = None
    value: object = None


def _file(file_id: str, payload: Mapping[str, Any]) -> RunFile:
    path = payload.get("artifact_path")
    name = str(payload.get("name") or file_id)
    reference = payload.get("reference")
    return RunFile(
        file_id,
        name,
        reference if isinstance(reference, str) and reference else f"artifact:{path or f'files/{name}'}",
        str(payload.get("content_type") or "application/octet-stream"),
        payload.get("size"),
    )


def _batch(payload: Mapping[str, Any]) -> _Batch:
    ids, failed = payload.get("file_ids"), payload.get("failed_uploads")
    return _Batch(
        tuple(map(str, ids)) if isinstance(ids, list) else (),
        tuple(upload for upload in failed if isinstance(upload, dict)) if isinstance(failed, list) else (),
    )


def _failure(upload: Mapping[str, Any]) -> str:
    error = upload.get("error")
    return f"- {upload.get('name', 'a file')}" + (f": {error}" if error else "")
