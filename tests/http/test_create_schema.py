"""POST /runs: the schema that we publish, validate with and parse by accepts what seed 002 accepts, and nothing else.

The seed's schema is transcribed in seed_create_run.json (source: seed 002, the request body and the 202 answer of
`POST /runs`; structure only).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from jsonschema_rs import Draft202012Validator, canonicalize, meta

from perdure.domain.errors import InvalidRequest
from perdure.http.runs.create_body import CreateRunBody, parse_create
from perdure.http.runs.create_schema import create_run_schema
from perdure.http.runs.response_schemas import run_accepted_schema
from tests.http.seed_schema import (
    any_bodies,
    at,
    changed,
    dropped,
    examples,
    modern,
    names_of,
    places,
    seed_accepted,
    seed_request,
    smallest,
    valid_bodies,
    variations,
)

SEED = seed_request()
SEED_VALIDATOR = Draft202012Validator(modern(SEED), validate_formats=True)
OUR_VALIDATOR = Draft202012Validator(create_run_schema(), validate_formats=True)


def parsed(body: Any) -> CreateRunBody | InvalidRequest:
    try:
        return parse_create(msgspec.json.encode(body))
    except InvalidRequest as error:
        return error


def judge(body: Any) -> bool:
    """What all three say of a body; they must say the same, and a refusal must name a place that can be looked at."""
    verdict = SEED_VALIDATOR.is_valid(body)
    assert OUR_VALIDATOR.is_valid(body) is verdict, body
    answer = parsed(body)
    assert isinstance(answer, CreateRunBody) is verdict, (answer, body)
    if isinstance(answer, InvalidRequest):
        assert answer.pointer is not None
        steps = [step.replace("~1", "/").replace("~0", "~") for step in answer.pointer.split("/")[1:]]
        found = body
        for step in steps[:-1]:
            found = found[int(step) if isinstance(found, list) else step]
        assert isinstance(found, dict | list) or not steps
        assert "given schemas" not in answer.detail
        assert len(answer.detail) < 600
    return verdict


def test_both_schemas_are_json_schema_2020_12() -> None:
    meta.validate(modern(SEED))
    meta.validate(create_run_schema())
    meta.validate(run_accepted_schema())


def test_the_request_schema_is_the_seeds() -> None:
    # Annotations, `format` among them, do not count here; the bodies below look at formats.
    assert canonicalize(create_run_schema()) == canonicalize(modern(SEED))


def test_the_answer_schema_is_the_seeds() -> None:
    assert canonicalize(run_accepted_schema()) == canonicalize(modern(seed_accepted()))


@pytest.mark.parametrize("body", [*examples(SEED), *smallest(SEED)])
def test_a_body_with_all_or_only_the_required_members_is_accepted(body: Any) -> None:
    assert judge(body)


def one_of_each_form() -> list[Any]:
    """The fullest and the smallest body of each kind and of each form of an agent's request; both owners occur."""
    agent, *others = SEED["oneOf"]
    forms = [
        {**agent, "properties": {**agent["properties"], "request": request}}
        for request in agent["properties"]["request"]["anyOf"]
    ]
    return [body for form in (*forms, *others) for body in (examples(form)[0], smallest(form)[-1])]


@pytest.mark.parametrize("body", one_of_each_form())
def test_every_single_change_gets_the_same_verdict(body: Any) -> None:
    names = names_of(SEED)
    verdicts: Counter[bool] = Counter()
    for path in places(body):
        if path:
            verdicts[judge(dropped(body, path))] += 1
        verdicts.update(judge(changed(body, path, other)) for other in variations(at(body, path), names))
    assert verdicts[True] > 50
    assert verdicts[False] > 50


@given(valid_bodies(SEED))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_generated_valid_bodies_are_accepted(body: Any) -> None:
    assert judge(body)


@given(any_bodies(SEED))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_generated_bodies_get_the_same_verdict(body: Any) -> None:
    judge(body)
