"""Open a run in the dashboard, again and again."""

from __future__ import annotations

import msgspec
from playwright.async_api import Page

from bench.load.browser import address, signed_in
from bench.load.scenario import Begin, Scenario
from bench.load.wire import Target

# Asked before every frame of the page. The answer is the page's clock, which began with the navigation.
_CHAT_IS_THERE = """() => {
  const chat = document.querySelector('[aria-label="Chat"]');
  const said = [...(chat?.querySelectorAll('[role="status"]') ?? [])];
  return said.some((one) => one.textContent.includes("Completed")) ? performance.now() : 0;
}"""
_LOG_IS_THERE = """(events) => {
  const said = [...document.querySelectorAll('[role="status"]')];
  const told = said.some((one) => one.textContent.includes(`${events.toLocaleString("en")} events`));
  return told && document.querySelector("[data-event]") ? performance.now() : 0;
}"""


class OpeningParams(msgspec.Struct, frozen=True):
    """`events`: how many public events the finished run has."""

    target: Target
    run_id: str
    events: int
    rounds: int
    opens: int
    warm_up: int


class OpeningResult(msgspec.Struct, frozen=True):
    """Milliseconds from the navigation until the tab shows the end of the run, round by round."""

    chat: list[list[float]]
    events: list[list[float]]


async def _measure(params: OpeningParams, begin: Begin) -> OpeningResult:
    async with signed_in(params.target) as page:
        for _ in range(params.warm_up):
            await _opened(page, params, "chat", _CHAT_IS_THERE)
            await _opened(page, params, "events", _LOG_IS_THERE)
        begin()
        result = OpeningResult([], [])
        for _ in range(params.rounds):
            result.chat.append([await _opened(page, params, "chat", _CHAT_IS_THERE) for _ in range(params.opens)])
            result.events.append([await _opened(page, params, "events", _LOG_IS_THERE) for _ in range(params.opens)])
        return result


async def _opened(page: Page, params: OpeningParams, tab: str, is_there: str) -> float:
    """Milliseconds of one opening. It is a page's whole load: of the one before, only the browser's cache is left."""
    await page.goto("about:blank")
    await page.goto(f"{address(params.target)}runs/{params.run_id}/{tab}", wait_until="commit")
    there = await page.wait_for_function(is_there, arg=params.events, polling="raf")
    return float(await there.json_value())


OPENING = Scenario("opening", OpeningParams, OpeningResult, _measure)
