"""The agents, workflows and tasks of an outdoor shop, of which `pictures.py` takes its pictures."""

from __future__ import annotations

import asyncio
import struct
import sys
import time
import zlib
from datetime import timedelta
from typing import Annotated, Any, Literal

from ag_ui.core import StateDeltaEvent, StateSnapshotEvent
from pydantic import BaseModel, Field
from pydantic_ai import Agent, RunContext

from perdure import App
from perdure.agents import Retry, WorkflowContext, publish
from perdure.execution.task_context import TaskContext
from tests.browser.shop_script import scripted

app = App(version="2026.11.3")

INSTRUCTIONS = "You serve the customers of an outdoor shop. Look things up before you answer. Be brief and kind."
support: Agent[None, str] = Agent(scripted("gpt-5.2"), name="support", instructions=INSTRUCTIONS)
returns: Agent[None, str] = Agent(scripted("gpt-5.2-mini"), name="returns", instructions=INSTRUCTIONS)
advisor: Agent[None, str] = Agent(scripted("claude-sonnet-5"), name="advisor", instructions=INSTRUCTIONS)

ORDERS: dict[str, dict[str, Any]] = {
    "A-1042": {"customer": "C-2417", "placed": "2026-11-19", "total": 289.0, "items": ["RIDGE-2"]},
    "A-1055": {"customer": "C-1180", "placed": "2026-11-21", "total": 179.0, "items": ["DRIFT-400"]},
    "A-1077": {"customer": "C-3092", "placed": "2026-11-25", "total": 64.5, "items": ["EMBER", "GAS-230"]},
    "A-1090": {"customer": "C-0865", "placed": "2026-11-27", "total": 118.0, "items": ["TALUS-MID"]},
}


@support.tool
@returns.tool
async def lookup_order(ctx: RunContext[None], order: str) -> dict[str, Any]:
    """An order by its number."""
    await asyncio.sleep(0.25)
    found = {"order": order, "status": "delivered", **ORDERS[order]}
    await publish(ctx, StateSnapshotEvent(snapshot={
        "customer": {"number": found["customer"], "orders": 4, "since": "2023-04-11"},
        "order": {"number": order, "status": "delivered", "total": found["total"], "items": found["items"]},
        "refunded": 0,
        "steps": ["look up the order"],
    }))  # fmt: skip
    return found


@support.tool
async def check_stock(ctx: RunContext[None], sku: str) -> dict[str, Any]:
    """How many of an article there are."""
    await asyncio.sleep(0.4)
    await change(ctx, "/steps/-", "check the stock")
    return {"sku": sku, "in_stock": 14, "warehouse": "Bremen"}


@support.tool_plain
async def read_policy(topic: str) -> str:
    """What our terms say about something."""
    await asyncio.sleep(0.15)
    return f"{topic.capitalize()}: replacement or refund within 30 days, poles two years. The customer chooses."


@support.tool_plain
async def track_parcel(order: str) -> dict[str, str]:
    """Where a parcel is."""
    await asyncio.sleep(0.3)
    if order not in ORDERS:
        raise RuntimeError("The carrier answered 503: tracking is down for maintenance")
    return {"order": order, "state": "out for delivery", "window": "14:00-16:00"}


@support.tool(requires_approval=True)
async def refund(ctx: RunContext[None], order: str, euros: float, reason: str) -> str:
    """Gives money back. A person decides."""
    await change(ctx, "/refunded", euros)
    return f"Refunded {euros:.2f} euros for {order}."


@support.tool_plain(requires_approval=True)
async def change_address(order: str, address: str) -> str:
    """Sends an order elsewhere. A person decides."""
    return f"{order} goes to {address}."


@returns.tool_plain
async def create_return(order: str, sku: str, exchange_for: str) -> dict[str, str]:
    """Makes a label for sending something back."""
    await asyncio.sleep(0.2)
    return {"order": order, "label": f"R-{sku}", "exchange": exchange_for}


@advisor.tool_plain
async def search_products(query: str) -> list[dict[str, Any]]:
    """Articles that fit some words."""
    await asyncio.sleep(0.2)
    return [{"sku": "TALUS-MID", "name": "Talus Mid", "price": 219.0}, {"sku": "EMBER", "name": "Ember", "price": 49.5}]


async def change(ctx: RunContext[None], path: str, value: object) -> None:
    """Add something to the state, as it is or at the end of a list."""
    delta = [{"op": "add", "path": path, "value": value}]
    await publish(ctx, StateDeltaEvent.model_validate({"delta": delta}))


app.agent("support", support, description="Orders, deliveries and refunds. Asks before money moves.")
app.agent("returns", returns, description="Returns and exchanges, with labels.")
app.agent("advisor", advisor, description="Helps customers choose, and writes product pages.")


class Order(BaseModel):
    """What was sold."""

    number: Annotated[str, Field(description="As on the invoice.", examples=["A-1101"])]
    sku: str
    quantity: Annotated[int, Field(ge=1, le=20)] = 1
    carrier: Literal["parcel", "express", "pickup"] = "parcel"
    gift: Annotated[bool, Field(description="With paper and a card.")] = False
    total: Annotated[float, Field(ge=0, description="Euros. From 500 on somebody checks the payment.")] = 0


async def reserve_stock(order: Order) -> str:
    """Takes it from the shelf."""
    await asyncio.sleep(0.35)
    return f"{order.quantity} of {order.sku} in Bremen"


async def charge_card(order: Order) -> str:
    """Takes the money."""
    await asyncio.sleep(0.6)
    return f"payment of {order.total:.2f} euros"


async def book_carrier(order: Order) -> str:
    """Asks for a van."""
    await asyncio.sleep(0.3)
    return f"{order.carrier}, tomorrow 08:00"


@app.workflow("fulfil-order")
async def fulfil_order(ctx: WorkflowContext, order: Order) -> dict[str, Any]:
    """Reserves, charges, packs and ships an order."""
    stock, payment = await asyncio.gather(
        ctx.step(reserve_stock, order, retry=Retry(attempts=3, delay=1)), ctx.step(charge_card, order)
    )
    await ctx.progress(2, 4, "Paid")
    if order.total >= 500:
        await ctx.approve(f"Ship {order.number} for € {order.total:.2f}?", timeout=timedelta(days=2))
    label, booked = await asyncio.gather(
        ctx.run_child("task:print-label", {"order": order.number}), ctx.step(book_carrier, order)
    )
    await ctx.log(f"{order.number} is on its way")
    return {"stock": stock, "payment": payment, "label": label, "carrier": booked}


@app.task("print-label", timeout_seconds=60)
def print_label(ctx: TaskContext, order: str) -> dict[str, str]:
    """Makes the label of a parcel."""
    ctx.artifacts.write("out/label.txt", f"{order}\nFrom: Bremen\n")
    return {"label": f"L-{order}"}


COUNTRIES = (("Germany", 412, 31_870.5), ("France", 188, 14_211.0), ("Netherlands", 121, 9_480.9),
             ("Austria", 97, 8_027.4), ("Denmark", 64, 5_912.0), ("Portugal", 41, 2_768.2))  # fmt: skip


@app.task("daily-report", timeout_seconds=300, backoff_limit=2)
def daily_report(ctx: TaskContext, day: str = "2026-11-26") -> dict[str, Any]:
    """Sums up a day of sales, by country."""
    sys.stdout.write(f"\x1b[1mSales of {day}\x1b[0m\n")
    sys.stdout.write("connected to warehouse replica (lag 0.4 s)\n")
    rows = ["country,orders,revenue,average"]
    for number, (country, orders, revenue) in enumerate(COUNTRIES, start=1):
        sys.stdout.write(f"{country:<12} {orders:>4} orders  {revenue:>10.2f} EUR\n")
        rows.append(f"{country},{orders},{revenue:.2f},{revenue / orders:.2f}")
        ctx.progress(number, len(COUNTRIES), country)
        time.sleep(0.05)
    sys.stderr.write("Portugal: exchange rate older than a day, kept\n")
    sys.stdout.write("\x1b[32mwrote 3 files\x1b[0m\n")
    ctx.artifacts.write("out/sales-by-country.csv", "\n".join(rows) + "\n")
    ctx.artifacts.write("out/summary.md", f"# {day}\n\n923 orders, € 72,270.00. Germany leads.\n")
    ctx.artifacts.write("out/chart.png", bars([revenue for _, _, revenue in COUNTRIES]))
    return {"orders": sum(orders for _, orders, _ in COUNTRIES), "files": 3}


@app.task("sync-stock", concurrency=2)
def sync_stock(ctx: TaskContext, warehouse: Literal["Bremen", "Lyon"] = "Bremen") -> None:
    """Counts what is on the shelves."""
    sys.stdout.write(f"counting {warehouse}\n")
    if warehouse == "Lyon":
        raise ConnectionError("warehouse-lyon did not answer within 10 s")


@app.task("reindex-search", timeout_seconds=3600)
def reindex_search(ctx: TaskContext, articles: int) -> None:
    """Makes the index of the shop's search anew."""
    for number in range(0, articles, 200):
        ctx.progress(number, articles, "articles")
        sys.stdout.write(f"indexed {number} of {articles}\n")
        time.sleep(1)


def bars(values: list[float], width: int = 480, height: int = 240) -> bytes:
    """A bar chart as a PNG (ISO/IEC 15948): eight bits a channel, no alpha."""
    room, top = width // len(values), max(values)
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            tall = values[min(x // room, len(values) - 1)] / top * (height - 24)
            inside = 12 <= x % room < room - 12 and height - y <= tall + 12 and height - y > 12
            rows += b"\x4b\x4a\xcf" if inside else b"\xff\xff\xff"
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    )
