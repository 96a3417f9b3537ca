"""Ask a server over HTTP from a command, and tell what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import typer

from perdure.cli.access import Target, access_of, target_of
from perdure.cli.exits import ExitCode
from perdure.cli.output import fail
from perdure.client import ApiError, Client, ClientError, RetryPolicy, Unreachable

T = TypeVar("T")

_PATIENCE: Final = RetryPolicy(tries=4, first_delay=0.2, longest_delay=2.0)

_NO_SERVER: Final = "Start one with `perdure dev`, or say where it is: PERDURE_API_URL or `perdure --url URL …`."
_NO_KEY: Final = (
    "Set PERDURE_API_KEY, or run this where `perdure dev` was started: "
    "its key is in the data folder (PERDURE_DATA_DIR)."
)
_NOT_ADMIN: Final = "An administrator's key may do that. On the machine of the database `--direct` needs no key."


def ask(context: typer.Context, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do `work` with a client of the server that is meant. Ends the command where the server refuses or is away."""
    target = target_of(access_of(context))
    try:
        return asyncio.run(_with_client(target, work))
    except ApiError as error:
        fail(_told(error), _advice(error, target), code=ExitCode.REFUSED)
    except Unreachable as error:
        fail(str(error), _NO_SERVER, code=ExitCode.REFUSED)
    except ClientError as error:
        fail(str(error), code=ExitCode.REFUSED)


async def _with_client(target: Target, work: Callable[[Client], Awaitable[T]]) -> T:
    async with Client(target.url, target.api_key, retry=_PATIENCE) as client:
        return await work(client)


def _told(error: ApiError) -> str:
    request = "" if error.request_id is None else f", request {error.request_id}"
    return f"{error.detail} [{error.code}{request}]"


def _advice(error: ApiError, target: Target) -> str | None:
    if error.status == 401:
        return _NO_KEY if target.api_key is None else f"The key in use is not good at {target.url}."
    if error.status == 403:
        return _NOT_ADMIN
    suggestion = error.problem.get("suggestion")
    return suggestion if isinstance(suggestion, str) else None
