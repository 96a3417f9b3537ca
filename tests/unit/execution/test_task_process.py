"""A task's process under the loop of the server (uvloop), beside threads that open files of their own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

import uvloop

from perdure.execution import task_process
from perdure.execution.task_process import Exit, Program

PROCESSES = 60
TOGETHER = 6
THREADS = 4


def test_the_end_of_a_process_closes_nothing_of_others(tmp_path: Path) -> None:
    """A descriptor that is closed twice closes, the second time, what somebody else has opened meanwhile."""
    over = threading.Event()
    lost: list[OSError] = []

    def open_files() -> None:
        while not over.is_set():
            try:
                folder = os.open(tmp_path, os.O_RDONLY)
                os.fstat(folder)
                os.close(folder)
            except OSError as error:
                lost.append(error)

    others = [threading.Thread(target=open_files) for _ in range(THREADS)]
    for other in others:
        other.start()
    try:
        ends = uvloop.run(run_all(tmp_path))
    finally:
        over.set()
        for other in others:
            other.join()
    assert ends == [Exit(0)] * PROCESSES
    assert lost == []


async def run_all(folder: Path) -> list[Exit]:
    numbers = iter(range(PROCESSES))
    ends: list[Exit] = []

    async def some() -> None:
        for number in numbers:
            own = folder / str(number)
            own.mkdir()
            ends.append(await run_one(own))

    await asyncio.gather(*(some() for _ in range(TOGETHER)))
    return ends


async def run_one(folder: Path) -> Exit:
    ours, theirs = socket.socketpair()
    program = Program(["/bin/sh", "-c", "echo out"], dict(os.environ))
    process = await task_process.start(program, folder, ours, theirs)
    try:
        said = (await process.stdout.read(), await process.stderr.read(), await process.told.read())
        assert said == (b"out\n", b"", b"")
        return await process.wait()
    finally:
        process.close()
