"""API keys, for administrators: `/keys` are those of the caller's own project, `/projects/{ref}/keys` those of any."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from perdure.domain.api_key import ApiKey, KeyKind
from perdure.domain.errors import InvalidRequest
from perdure.domain.ids import ProjectId
from perdure.domain.principal import ORDINARY, Scope
from perdure.domain.project import MAX_NAME
from perdure.http.context import core_of
from perdure.http.deps import Administrator
from perdure.http.json_schema import array, choice, members, nullable, text
from perdure.http.platform.bodies import Body, problems
from perdure.http.platform.pages import WHOLE, PageInfo
from perdure.services import keys, scoping
from perdure.services.keys import Issued

router = APIRouter(tags=["keys"])

_CREATE: Final = Body(
    members(
        {
            "name": text(1, MAX_NAME, description="What the key is for."),
            "scopes": array(choice(*Scope), description="What it may do; all but `admin`, where it is left out."),
            "expires_at": nullable(text(1, 64, description="When it ends: an RFC 3339 time with its offset.")),
            "kind": choice(*KeyKind, description="How it begins: `pd_`, or `sk-` for clients of the Agent Runs API."),
            "key": text(1, 512, description="A key made elsewhere that is to be good here: `vf_<prefix>_<secret>`."),
        },
        required=("name",),
        title="CreateKey",
    )
)


class KeyOut(BaseModel):
    """A key, without what opens anything."""

    id: UUID
    project_id: UUID
    prefix: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A new key, with the whole key, which is told this once."""

    key: str


class KeysOut(BaseModel):
    """All keys of a project, oldest first, those that have ended included."""

    data: list[KeyOut]
    page_info: PageInfo


@router.post(
    "/keys",
    status_code=201,
    summary="Make or import an API key.",
    openapi_extra=_CREATE.documented(),
    responses=problems(400, 409, 413),
)
async def create_key(request: Request, response: Response, principal: Administrator) -> NewKeyOut:
    """The answer holds the whole key; it is not told again. 409 when an imported key's prefix is taken."""
    return await _create(request, response, principal.project_id)


@router.get("/keys", summary="List API keys.", responses=problems())
async def list_keys(request: Request, principal: Administrator) -> KeysOut:
    """Those of the caller's own project."""
    return await _list(request, principal.project_id)


@router.delete("/keys/{key_id}", summary="Revoke an API key.", responses=problems(404))
async def revoke_key(request: Request, principal: Administrator, key_id: str) -> KeyOut:
    """By id or prefix. It opens nothing from now on; revoking it again changes nothing."""
    return _out(await keys.revoke(core_of(request), principal.project_id, key_id))


@router.post(
    "/projects/{ref}/keys",
    status_code=201,
    summary="Make or import an API key of a project.",
    openapi_extra=_CREATE.documented(),
    responses=problems(400, 404, 409, 413),
)
async def create_project_key(request: Request, response: Response, principal: Administrator, ref: str) -> NewKeyOut:
    """As `POST /keys`, in any project."""
    project = await scoping.project_by_ref(core_of(request), principal, ref)
    return await _create(request, response, project.id)


@router.get("/projects/{ref}/keys", summary="List the API keys of a project.", responses=problems(404))
async def list_project_keys(request: Request, principal: Administrator, ref: str) -> KeysOut:
    """As `GET /keys`, of any project."""
    project = await scoping.project_by_ref(core_of(request), principal, ref)
    return await _list(request, project.id)


@router.delete("/projects/{ref}/keys/{key_id}", summary="Revoke an API key of a project.", responses=problems(404))
async def revoke_project_key(request: Request, principal: Administrator, ref: str, key_id: str) -> KeyOut:
    """As `DELETE /keys/{key_id}`, in any project."""
    project = await scoping.project_by_ref(core_of(request), principal, ref)
    return _out(await keys.revoke(core_of(request), project.id, key_id))


async def _create(request: Request, response: Response, project_id: ProjectId) -> NewKeyOut:
    body = await _CREATE.read(request)
    scopes = body.get("scopes")
    if "kind" in body and "key" in body:
        raise InvalidRequest("`/kind` is that of a new key; one that is imported stays as it is.", pointer="/kind")
    issued = await keys.create(
        core_of(request),
        project_id,
        name=body["name"],
        scopes=ORDINARY if scopes is None else map(Scope, scopes),
        expires_at=_time(body.get("expires_at")),
        token=body.get("key"),
        kind=KeyKind(body.get("kind", KeyKind.OWN)),
    )
    response.headers["Cache-Control"] = "no-store"
    return _new(issued)


async def _list(request: Request, project_id: ProjectId) -> KeysOut:
    found = await keys.list_all(core_of(request), project_id)
    return KeysOut(data=[_out(key) for key in found], page_info=WHOLE)


def _time(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.astimezone(UTC) if parsed.tzinfo is not None else parsed
    except (ValueError, OverflowError):
        raise InvalidRequest("`/expires_at` must be an RFC 3339 time, not this text.", pointer="/expires_at") from None


def _out(key: ApiKey) -> KeyOut:
    return KeyOut(**_members(key))


def _new(issued: Issued) -> NewKeyOut:
    return NewKeyOut(**_members(issued.key), key=issued.token)


def _members(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "project_id": key.project_id,
        "prefix": key.prefix,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
