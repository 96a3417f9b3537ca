"""What a task's process says becomes events of the run: its output as `perdure.log`, the rest as what it means."""

from __future__ import annotations

import asyncio
from codecs import getincrementaldecoder
from typing import Final

import msgspec
from ag_ui.core import CustomEvent

from perdure.domain.task_log import LOG, SAID, SERVER
from perdure.execution.log import RunContext
from perdure.execution.recorder import LeaseLost
from perdure.execution.task_context import LOG as LOG_LINE
from perdure.execution.task_context import MESSAGE, PROGRESS, PUBLISH

MOST_LOGGED: Final = 16 * 1024 * 1024
"""Characters of output that an attempt may add to the log."""

_AT_ONCE: Final = 32 * 1024
"""Bytes of output in one event: escaped, they still fit into one."""

_GATHER_SECONDS: Final = 0.02
_LINE_SECONDS: Final = 0.2
_TAIL: Final = 256 * 1024


class _Told(msgspec.Struct, frozen=True):
    tell: str
    text: str = ""
    done: float = 0.0
    total: float | None = None
    name: str = ""
    value: object = None


class TaskOutput:
    """Carries an attempt's output into its log. When the log refuses the attempt, the output is read and dropped."""

    def __init__(self, run: RunContext) -> None:
        self._run = run
        self._logged = 0
        self._refused = False
        self._tails: dict[str, str] = {}

    def last_line(self, stream: str) -> str:
        """A stream's last line that is not empty; a longer one than 256 Ki characters is cut in front."""
        return self._tails.get(stream, "").rstrip().rpartition("\n")[2].strip()

    async def carry(self, stream: str, reader: asyncio.StreamReader) -> None:
        """Carry one stream to its end, in whole lines where they are written within a fraction of a second."""
        decoder = getincrementaldecoder("utf-8")("replace")
        begun = ""
        while True:
            try:
                async with asyncio.timeout(_LINE_SECONDS if begun else None):
                    data = await reader.read(_AT_ONCE)
            except TimeoutError:
                await self._write(stream, begun)
                begun = ""
                continue
            text = begun + decoder.decode(data, final=not data)
            if not data:
                await self._write(stream, text)
                return
            lines, newline, begun = text.rpartition("\n") if len(text) < 2 * _AT_ONCE else (text, "", "")
            await self._write(stream, lines + newline)
            await asyncio.sleep(_GATHER_SECONDS)

    async def obey(self, reader: asyncio.StreamReader) -> None:
        """Do what the task tells, to the end. What is no telling of ours is dropped with a line in the log."""
        while line := await self._line(reader):
            try:
                told = msgspec.json.decode(line, type=_Told)
                await self._tell(told)
            except LeaseLost:
                self._refused = True
            except (msgspec.DecodeError, ValueError) as error:
                await self._write(SERVER, f"The task told something that is not understood: {error}\n")

    async def _line(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readline()
        except ValueError:
            return b"{}\n"

    async def _tell(self, told: _Told) -> None:
        if told.tell == PROGRESS:
            await self._run.progress(told.done, told.total, told.text)
        elif told.tell == PUBLISH:
            await self._run.publish(told.name, told.value)
        elif told.tell == MESSAGE:
            await self._run.message(told.text)
        elif told.tell == LOG_LINE:
            await self._write(SAID, told.text if told.text.endswith("\n") else f"{told.text}\n")
        else:
            raise ValueError(told.tell or "a line without `tell`")

    async def _write(self, stream: str, text: str) -> None:
        if not text:
            return
        self._tails[stream] = (self._tails.get(stream, "") + text)[-_TAIL:]
        if self._refused or self._logged > MOST_LOGGED:
            return
        self._logged += len(text)
        if self._logged > MOST_LOGGED:
            stream, text = SERVER, "\nThere is more output than a log takes: the rest of this attempt's is left out.\n"
        for start in range(0, len(text), _AT_ONCE):
            piece = text[start : start + _AT_ONCE].replace("\0", "\N{REPLACEMENT CHARACTER}")
            try:
                await self._run.run_log.emit(CustomEvent(name=LOG, value={"stream": stream, "text": piece}))
            except LeaseLost:
                self._refused = True
