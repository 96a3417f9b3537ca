"""The dashboard's routes: `/` leads to `/ui/`, below which are the page, its files and the sign-in of `perdure dev`.

They are no part of the API and not in its document. The page is the same for every path below `/ui/` that is no file:
its own router reads the path. It may load nothing from elsewhere and run no script but the files of the build.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from perdure.domain.errors import NotAuthenticated
from perdure.http.dashboard.build import INDEX, Asset
from perdure.http.dashboard.sign_in import OneTimeSignIn, from_this_machine
from perdure.http.json_schema import members, text
from perdure.http.operations import json_answer
from perdure.http.platform.bodies import Body

PATHS: Final = ("/", "/ui", "/ui/sign-in", "/ui/{path:path}")

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_ONE_YEAR: Final = "public, max-age=31536000, immutable"
_NOT_BUILT: Final = """\
Perdure is running: its API is at /docs.

The dashboard is not built. In a checkout, `make web` builds it (it needs Node 20.19 or newer, or takes it from a
Python package); then start the server again. Published packages bring it with them.
"""
_SIGN_IN: Final = Body(members({"code": text(1, 128)}, required=("code",), title="SignIn"))


class Dashboard:
    """The build at the server's root. `sign_in` is there in `perdure dev` only."""

    def __init__(self, sign_in: OneTimeSignIn | None, assets: Mapping[str, Asset]) -> None:
        self._sign_in = sign_in
        self._assets = assets

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        endpoints = (self._root, self._root, self._exchange, self._file)
        return [
            Route(path, endpoint, methods=["POST"] if endpoint == self._exchange else ["GET"], include_in_schema=False)
            for path, endpoint in zip(PATHS, endpoints, strict=True)
        ]

    async def _root(self, request: Request) -> Response:
        if not self._assets:
            return PlainTextResponse(_NOT_BUILT)
        return RedirectResponse("/ui/", headers={"Cache-Control": "no-cache"})

    async def _file(self, request: Request) -> Response:
        if not self._assets:
            return PlainTextResponse(_NOT_BUILT, 404)
        path: str = request.path_params["path"]
        asset = self._assets.get(path)
        if asset is None:
            if "." in path.rpartition("/")[2] and path.startswith("assets/"):
                raise HTTPException(404)
            asset = self._assets[INDEX]
        return _answer(request, asset)

    async def _exchange(self, request: Request) -> Response:
        """The key for a code that `perdure dev` has printed. Whatever is wrong, the refusal is the same."""
        body = await _SIGN_IN.read(request)
        sign_in = self._sign_in if from_this_machine(request) else None
        key = None if sign_in is None else sign_in.redeem(body["code"])
        if key is None:
            raise NotAuthenticated
        answer = json_answer({"key": key})
        answer.headers["Cache-Control"] = "no-store"
        return answer


def _answer(request: Request, asset: Asset) -> Response:
    headers = {
        "Cache-Control": _ONE_YEAR if asset.immutable else "no-cache",
        "ETag": asset.etag,
        "Vary": "Accept-Encoding",
        **(_PAGE_HEADERS if asset.media_type.startswith("text/html") else {}),
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    accepted = _accepted(request.headers.get("accept-encoding", ""))
    coding = next((coding for coding in asset.encoded if coding in accepted), None)
    if coding is None:
        return Response(asset.body, headers=headers, media_type=asset.media_type)
    headers["Content-Encoding"] = coding
    return Response(asset.encoded[coding], headers=headers, media_type=asset.media_type)


def _accepted(header: str) -> set[str]:
    """The codings that a client takes; those with a weight of zero are refused ones (RFC 9110, 12.5.3)."""
    found = set()
    for word in header.lower().split(","):
        coding, _, weight = word.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            found.add(coding.strip())
    return found
