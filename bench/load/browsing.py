"""Use the list of runs in the dashboard as a person does: open it, scroll, filter, search."""

from __future__ import annotations

from time import perf_counter

import msgspec
from playwright.async_api import Page

from bench.load.browser import address, signed_in
from bench.load.scenario import Begin, Scenario
from bench.load.wire import LoadError, Target

_FIRST_ROW = "() => (document.querySelector('[data-run]') ? performance.now() : 0)"

# Drags the bar to the end as fast as rows come, then turns the wheel, 12,000 pixels a second; a frame each.
_SCROLL = """async (rows) => {
  const box = document.querySelector('[role="table"]');
  const frame = () => new Promise(requestAnimationFrame);
  const wanted = rows * 40;
  const began = performance.now();
  while (box.scrollHeight < wanted && performance.now() - began < 60_000) {
    box.scrollTop = box.scrollHeight;
    await frame();
  }
  const all = box.scrollHeight >= wanted;
  for (let turn = 0; turn < 200; turn += 1) {
    box.scrollTop -= 200;
    await frame();
  }
  const tasks = window.longTasks.filter(([start]) => start >= began).map(([, duration]) => duration);
  return all ? Math.max(0, ...tasks) : -1;
}"""


class BrowsingParams(msgspec.Struct, frozen=True):
    """`scroll`: how many rows are scrolled through; `word`: what is searched for, which `found` is a run of."""

    target: Target
    scroll: int
    word: str
    found: str
    rounds: int
    warm_up: int


class BrowsingResult(msgspec.Struct, frozen=True):
    """Milliseconds, one for each round.

    `opened`: from the navigation to the first rows; `longest`: the longest task of the page while it was scrolled (0:
    none of 50 ms); `filtered`, `searched`: from the click, and from the last key, until the rows are there.
    """

    opened: list[float]
    longest: list[float]
    filtered: list[float]
    searched: list[float]


async def _measure(params: BrowsingParams, begin: Begin) -> BrowsingResult:
    async with signed_in(params.target) as page:
        for _ in range(params.warm_up):
            await _opened(page, params)
        begin()
        result = BrowsingResult([], [], [], [])
        for _ in range(params.rounds):
            result.opened.append(await _opened(page, params))
            result.longest.append(await _scrolled(page, params))
            result.filtered.append(await _filtered(page))
            result.searched.append(await _searched(page, params))
        return result


async def _opened(page: Page, params: BrowsingParams) -> float:
    await page.goto("about:blank")
    await page.goto(f"{address(params.target)}runs", wait_until="commit")
    there = await page.wait_for_function(_FIRST_ROW, polling="raf")
    return float(await there.json_value())


async def _scrolled(page: Page, params: BrowsingParams) -> float:
    longest = float(await page.evaluate(_SCROLL, params.scroll))
    if longest < 0:
        raise LoadError(f"{params.scroll} rows did not come in a minute.")
    return longest


async def _filtered(page: Page) -> float:
    await page.get_by_role("button", name="Status", exact=True).click()
    item = page.get_by_role("menuitemcheckbox", name="Failed")
    await item.wait_for()
    began = perf_counter()
    await item.click()
    await page.wait_for_function(
        """() => {
          const rows = [...document.querySelectorAll('[data-run]')];
          return rows.length > 0 && rows.every((row) => row.textContent.includes("Failed"));
        }""",
        polling="raf",
    )
    taken = (perf_counter() - began) * 1000
    await page.keyboard.press("Escape")
    return taken


async def _searched(page: Page, params: BrowsingParams) -> float:
    await page.get_by_role("button", name="Clear", exact=True).click()
    await page.get_by_role("searchbox").press_sequentially(params.word)
    began = perf_counter()
    await page.locator(f'[data-run="{params.found}"]').wait_for()
    return (perf_counter() - began) * 1000


BROWSING = Scenario("browsing", BrowsingParams, BrowsingResult, _measure)
