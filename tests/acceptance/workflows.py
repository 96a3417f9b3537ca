"""The workflows of the fault tests: they say in a file what they really did, and wait for files to go on."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel

from perdure import App
from perdure.agents import WorkflowContext

FOLDER = Path(os.environ["PERDURE_TEST_FOLDER"])

app = App()


class Order(BaseModel):
    sku: str


def did(what: str) -> None:
    """Note an effect that outlives this process."""
    with (FOLDER / "effects").open("a") as file:
        file.write(f"{what}\n")
        file.flush()
        os.fsync(file.fileno())


async def reserve(sku: str) -> Order:
    """Returns at once."""
    did(f"reserve {sku}")
    return Order(sku=sku)


async def mail(ctx: WorkflowContext, tracking: str) -> str:
    """Returns when the test lets it."""
    did(f"mail {ctx.idempotency_key}")
    while not (FOLDER / "go").exists():  # noqa: ASYNC110 - the file is made by another process
        await asyncio.sleep(0.02)
    return f"sent {tracking}"


async def pack(sku: str) -> str:
    """Returns at once."""
    did(f"pack {sku}")
    return f"box of {sku}"


@app.workflow("ship")
async def ship(ctx: WorkflowContext, order: Order) -> str:
    """A child."""
    packed = await ctx.step(pack, order.sku)
    await ctx.sleep(0.6)
    return packed


@app.workflow("order")
async def order(ctx: WorkflowContext, order: Order) -> dict[str, object]:
    """Steps, a sleep, a signal, children, and a step that takes long."""
    reserved = await ctx.step(reserve, order.sku)
    await ctx.sleep(0.6)
    await ctx.log("waiting for money")
    paid = await ctx.wait_for_signal("paid", timeout=600)
    boxes = await asyncio.gather(*(ctx.run_child("workflow:ship", {"sku": f"{reserved.sku}{n}"}) for n in range(2)))
    return {"paid": paid, "boxes": boxes, "mail": await ctx.step(mail, ctx, boxes[0])}
