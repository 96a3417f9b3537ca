"""The process between a worker and a task's process: it starts the task, and leaves nothing of it behind.

Run as a program by its path, so it imports nothing of ours and nothing slow. On standard input it reads one line of
JSON, the job: `{argv, env, folder, status, memory_bytes?, cpu_seconds?}`, then words of one byte each: `T` asks the
task to end (SIGTERM), `K` kills it. The end of that input means that the worker is gone, however it died: then the task
is killed and its folder removed.

The task gets a session and thus a process group of its own. Whatever it has started is adopted by this process
(PR_SET_CHILD_SUBREAPER) when its parent ends, and killed when the task itself has ended, so that a process that has
left the group is found, too. Were this process itself killed, the kernel would kill the task (PR_SET_PDEATHSIG). Both
are Linux's; elsewhere the group is killed.

How the task ended goes into the file `status`, as JSON `{exit_code, signal}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NoReturn

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LINUX: Final = sys.platform == "linux"
_CANNOT_START: Final = 127
_CPU_GRACE_SECONDS: Final = 2
_WORKER: Final = 0
_LARGEST: Final = 65_536


def main() -> None:
    """Run one job to its end."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # the worker decides
    wake, woken = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    job, rest = _read_job()
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(job, parent)
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)  # the task alone holds the worker's pipes
    status = _watch(child, wake, rest)
    _kill_adopted()
    if status is None:
        _remove(Path(job["folder"]))
        return
    code = os.waitstatus_to_exitcode(status)
    Path(job["status"]).write_text(
        json.dumps({"exit_code": code if code >= 0 else 128 - code, "signal": max(0, -code)})
    )


def _read_job() -> tuple[dict[str, Any], bytes]:
    read = b""
    while b"\n" not in read:
        more = os.read(_WORKER, _LARGEST)
        if not more:
            raise SystemExit(1)
        read += more
    line, _, rest = read.partition(b"\n")
    return json.loads(line), rest


def _become(job: dict[str, Any], parent: int) -> NoReturn:
    """In the new process: turn into the task."""
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(_CANNOT_START)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if job.get("memory_bytes"):
            _limit(resource.RLIMIT_AS, job["memory_bytes"], job["memory_bytes"])
        if job.get("cpu_seconds"):
            _limit(resource.RLIMIT_CPU, job["cpu_seconds"], job["cpu_seconds"] + _CPU_GRACE_SECONDS)
        os.execvpe(job["argv"][0], job["argv"], job["env"])
    except BaseException as error:
        os.write(2, f"The task could not be started: {error}\n".encode())
    os._exit(_CANNOT_START)


def _limit(what: int, soft: int, hard: int) -> None:
    """Set a limit; one that holds already and is lower stays."""
    most = resource.getrlimit(what)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(what, (soft, hard))


def _watch(child: int, wake: int, words: bytes) -> int | None:
    """Do what the worker says until the task has ended; its wait status, None when the worker went first."""
    sources = [_WORKER, wake]
    _obey(child, words)
    while True:
        ready, _, _ = select.select(sources, [], [])
        if wake in ready:
            with suppress(BlockingIOError):
                os.read(wake, _LARGEST)
            status = _reap(child)
            if status is not None:
                return status if _WORKER in sources else None
        if _WORKER in ready:
            words = os.read(_WORKER, _LARGEST)
            _obey(child, words or b"K")
            if not words:
                sources.remove(_WORKER)


def _obey(child: int, words: bytes) -> None:
    if b"K" in words:
        _kill_group(child)
        _kill(child, signal.SIGKILL)
    elif b"T" in words:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGTERM)


def _reap(child: int) -> int | None:
    """Collect all who have ended; the task's wait status if it is among them. Its group is killed with it."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return None
        if ended is None:
            return None
        if ended.si_pid == child:
            _kill_group(child)  # before the leader is collected: until then nobody else can have its number
            return os.waitpid(child, 0)[1]
        os.waitpid(ended.si_pid, 0)


def _kill_group(child: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def _kill_adopted() -> None:
    """Kill what the task has left, until nobody is left: the children of each one come to us when it dies."""
    while _LINUX:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        if not listed:
            return
        for pid in listed:
            _kill(int(pid), signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _remove(folder: Path) -> None:
    """Remove the files of a task whose worker is gone."""
    with suppress(OSError):
        for place, folders, files in os.walk(folder, topdown=False):
            for name in files:
                os.unlink(Path(place, name))
            for name in folders:
                inner = Path(place, name)
                inner.unlink() if inner.is_symlink() else inner.rmdir()
        folder.rmdir()


def _kill(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
