"""The dashboard in a browser: the system's Chromium, headless, signed in as a person does it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, ViewportSize, async_playwright

from bench.load.wire import Target
from perdure.http.dashboard.build import FOLDER, INDEX

WAIT_MS = 60_000
_SIZE: ViewportSize = {"width": 1360, "height": 820}

# What keeps a page from answering: tasks of 50 ms and more, as [start, duration] in milliseconds of the page's clock.
_WATCH_LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longTasks.push([task.startTime, task.duration]);
}).observe({ type: "longtask", buffered: true });
"""


def missing() -> str | None:
    """What a row of the dashboard needs and this machine lacks, in words; None where nothing is missing."""
    if shutil.which("chromium") is None:
        return "there is no chromium on the PATH"
    return None if (Path(FOLDER) / INDEX).is_file() else "the dashboard is not built: make web"


def address(target: Target) -> str:
    """Where the dashboard is, with a slash at its end."""
    return f"http://{target.host}:{target.port}/ui/"


@asynccontextmanager
async def signed_in(target: Target) -> AsyncIterator[Page]:
    """A tab that shows the list of runs, until the end of the block."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-background-networking"]
        )
        try:
            page = await browser.new_page(viewport=_SIZE)
            page.set_default_timeout(WAIT_MS)
            await page.add_init_script(_WATCH_LONG_TASKS)
            await page.goto(address(target))
            await page.get_by_label("API key or token").fill(target.key)
            await page.get_by_role("button", name="Sign in").click()
            await page.get_by_role("heading", name="Runs", exact=True).wait_for()
            yield page
        finally:
            await browser.close()
