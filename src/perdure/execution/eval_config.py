"""What a run of an eval may say in its `config`: read here by the eval, and published for POST /runs to check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perdure.execution.log import RunFailed

INVALID_CONFIG: Final = "INVALID_CONFIG"
"""Code of a run whose config does not fit its eval."""

MAX_NAMED: Final = 200
"""Cases of a dataset up to which the schema names each."""


class EvalConfig(BaseModel):
    """`cases`: only those of these names. `baseline_run_id`: a completed run of an eval that the report is compared
    with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline_run_id: str | None = Field(None, min_length=1)
    max_concurrency: int = Field(4, ge=1)
    cases: tuple[str, ...] | None = None


def read_config(given: object) -> EvalConfig:
    """The config of a run. Raises RunFailed for one that does not fit, as a run has that nobody checked."""
    try:
        return EvalConfig.model_validate_json(msgspec.json.encode(given or {}))
    except ValidationError as error:
        raise RunFailed(f"The eval's config does not fit: {error}", INVALID_CONFIG) from error


def config_schema(dataset: object) -> dict[str, Any]:
    """The JSON Schema of the config. The cases are named where the dataset is there already, and not too large."""
    schema = EvalConfig.model_json_schema()
    cases = getattr(dataset, "cases", None)
    if isinstance(cases, Sequence) and 0 < len(cases) <= MAX_NAMED:
        for choice in schema["properties"]["cases"]["anyOf"]:
            if choice.get("type") == "array":
                choice["items"] = {"enum": case_names(cases)}
    return schema


def case_names(cases: Sequence[Any]) -> list[str]:
    """What cases are called: by their names, or by their places."""
    return [case.name or f"Case {number}" for number, case in enumerate(cases, 1)]
