"""The OpenAPI document: what the framework knows of its routes, and the operations that describe themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from perdure.http.agents.schemas import error_schema, token_error_schema
from perdure.http.errors import problem_schema
from perdure.http.operations import SECURITY, Operation, paths_of, problem_answer

_SCHEMES: Final = (
    {"type": "http", "scheme": "bearer", "bearerFormat": "JWT or API key"},
    {"type": "apiKey", "in": "header", "name": "X-API-Key"},
)

_FRAMEWORK_ERRORS: Final = ("HTTPValidationError", "ValidationError")


def merged(document: dict[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """The framework's document with the operations, and with the errors that we really answer.

    The framework says 422 where a request is not valid; here that is a 400 problem (veryfront.md section 4).
    """
    paths: dict[str, dict[str, Any]] = {path: dict(methods) for path, methods in document.get("paths", {}).items()}
    for methods in paths.values():
        for described in methods.values():
            responses = described.get("responses", {})
            if responses.pop("422", None) is not None:
                responses.setdefault("400", problem_answer(400))
    for path, methods in paths_of(operations).items():
        paths.setdefault(path, {}).update(methods)
    components = document.get("components", {})
    schemas = {name: schema for name, schema in components.get("schemas", {}).items() if name not in _FRAMEWORK_ERRORS}
    return {
        **document,
        "paths": paths,
        "components": {
            **components,
            "schemas": {
                **schemas,
                "Problem": problem_schema(),
                "AgentError": error_schema(),
                "TokenError": token_error_schema(),
            },
            "securitySchemes": {**dict(zip(SECURITY, _SCHEMES, strict=True)), **components.get("securitySchemes", {})},
        },
    }
