"""JSON bodies of the platform's routes: read after the caller is known, checked with the schema that is published."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request

from perdure.domain.json_text import decode
from perdure.http.json_schema import JsonSchema
from perdure.http.operations import problem_answer
from perdure.http.requests import read_body
from perdure.http.schema_check import SchemaCheck

_MAX_BYTES: Final = 64 * 1024


class Body:
    """One kind of body: an object, by its JSON Schema."""

    def __init__(self, schema: JsonSchema) -> None:
        self._schema = schema
        self._check = SchemaCheck(schema)

    async def read(self, request: Request) -> dict[str, Any]:
        """The request's body. Raises InvalidRequest and PayloadTooLarge."""
        value: Any = decode(await read_body(request, _MAX_BYTES))
        self._check.check(value)
        members: dict[str, Any] = value
        return members

    def documented(self) -> dict[str, Any]:
        """What `openapi_extra` of the route says."""
        return {"requestBody": {"required": True, "content": {"application/json": {"schema": self._schema}}}}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for these statuses, and for those that every route with a principal has."""
    return {status: problem_answer(status) for status in sorted({401, 403, 503, *statuses})}
