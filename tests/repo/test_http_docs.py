"""docs/http.md lists every route."""

from __future__ import annotations

from tests.http.runs_app import application
from tests.repo.generated import check, table

METHODS = ("get", "post", "put", "patch", "delete")


async def test_the_documentation_lists_every_route(database: str) -> None:
    async with application(database) as app:
        paths = app.openapi()["paths"]
    rows = [
        (f"`{method.upper()} {path}`", " ".join(item[method]["summary"].split()))
        for path, item in sorted(paths.items())
        for method in METHODS
        if method in item
    ]
    assert [row[0] for row in rows if not row[1]] == [], "each route has a summary"
    check("docs/http.md", "routes", table(("route", "what it does"), rows))
