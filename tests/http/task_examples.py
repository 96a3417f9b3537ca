"""Tasks for tests. The processes of the task functions load this file by its path."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from perdure import App
from perdure.execution.task_context import TaskContext

app = App()


def say(*words: object) -> None:
    """A line on standard output."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


@app.task("greet")
def greet(ctx: TaskContext, config: dict[str, Any]) -> dict[str, Any]:
    """Everything that a task can say."""
    say("hello", config["name"])
    sys.stderr.write("careful\n")
    ctx.log("a line")
    ctx.progress(1, 2, "half")
    ctx.publish("mood", {"good": True})
    ctx.artifacts.write("notes/one.txt", "first")
    (ctx.output_folder / "two.json").write_text("{}")
    return {"greeted": config["name"], "attempt": ctx.attempt, "key": ctx.idempotency_key}


@app.task("coroutine", output_folder="reports/daily")
async def coroutine(ctx: TaskContext, config: dict[str, Any]) -> int:
    await asyncio.sleep(0)
    await ctx.progress(1, 1)
    await ctx.artifacts.write("a.txt", b"a")
    return 7


@app.task("typed")
def typed(ctx: TaskContext, to: str, copies: int = 1) -> list[str]:
    return [to] * copies


@app.task("environment", env={"ADDED": "yes"}, inherit=["WANTED"])
def environment(ctx: TaskContext, config: dict[str, Any]) -> list[str]:
    return sorted(os.environ)


@app.task("broken")
def broken(ctx: TaskContext, config: dict[str, Any]) -> None:
    raise ValueError("no such luck")


@app.task("unlucky")
def unlucky(ctx: TaskContext, config: dict[str, Any]) -> int:
    """Fails in its first `failures` attempts."""
    if ctx.attempt <= config["failures"]:
        sys.exit(3)
    return ctx.attempt


@app.task("no_json")
def no_json(ctx: TaskContext, config: dict[str, Any]) -> object:
    return object()


@app.task("sleeper")
def sleeper(ctx: TaskContext, config: dict[str, Any]) -> None:
    """Waits; says how it was ended."""
    say("sleeping", os.getpid())
    try:
        time.sleep(300)
    finally:
        say("cleaning up", ctx.cancelled)


@app.task("sleeping_coroutine")
async def sleeping_coroutine(ctx: TaskContext, config: dict[str, Any]) -> None:
    say("sleeping")
    try:
        await asyncio.sleep(300)
    finally:
        say("cleaning up", ctx.cancelled)


FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
orphan = int(subprocess.check_output(["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"]))
print("family", os.getpid(), stranger.pid, orphan, flush=True)
time.sleep(300)
"""

app.task("family", command=[sys.executable, "-c", FAMILY])


@app.task("hungry", memory_mb=400)
def hungry(ctx: TaskContext, config: dict[str, Any]) -> int:
    return len(bytearray(1024 * 1024 * 1024))


@app.task("busy", cpu_seconds=1)
def busy(ctx: TaskContext, config: dict[str, Any]) -> None:
    while True:
        pass


@app.task("short", timeout_seconds=1)
def short(ctx: TaskContext, config: dict[str, Any]) -> None:
    say("started")
    time.sleep(300)


@app.task("leaves_one_behind")
def leaves_one_behind(ctx: TaskContext, config: dict[str, Any]) -> int:
    return subprocess.Popen(["sleep", "300"], start_new_session=True).pid


@app.task("chatty")
def chatty(ctx: TaskContext, config: dict[str, Any]) -> None:
    for number in range(config["lines"]):
        say(f"line {number} \u00e9\0")


@app.task("once_per_file")
def once_per_file(ctx: TaskContext, config: dict[str, Any]) -> int:
    """Appends its run to a file and waits until there is another."""
    with Path(config["effects"]).open("a") as effects:
        effects.write(f"{ctx.run_id} {ctx.attempt} {os.getpid()}\n")
    while not Path(config["go"]).exists():
        time.sleep(0.02)
    return ctx.attempt


SHELL = """
echo "hello $(cat "$PERDURE_CONFIG_PATH")"
echo oops >&2
echo data > "$PERDURE_OUTPUT_DIR/out.txt"
echo '{"answer": 42}'
"""

app.task("shell", command=["sh", "-c", SHELL])
app.task("shell_result", command=["sh", "-c", 'echo "[1, 2]" > "$PERDURE_RESULT_PATH"; echo 5'])
app.task("shell_failed", command=["sh", "-c", "echo the disk is full >&2; exit 4"])
app.task("missing", command=["no-such-program-anywhere"])
