"""Fixtures for tests over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.http.runs_app import Api, api


@pytest_asyncio.fixture
async def at_work(database: str) -> AsyncIterator[Api]:
    """The whole application on a database of the test's own."""
    async with api(database) as running:
        yield running
