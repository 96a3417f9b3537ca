"""/docs: the OpenAPI document as one page of HTML, without scripts and without anything from elsewhere.

It works offline, and under a Content-Security-Policy that allows nothing but the page's own style.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881;
--get: #0a7; --post: #27c; --patch: #a60; --delete: #c33; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem 1.5rem 6rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; text-transform: capitalize; border-bottom: 1px solid var(--line); }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; }
article { border: 1px solid var(--line); border-radius: 6px; margin: .75rem 0; padding: 0 1rem; }
summary { cursor: pointer; padding: .6rem 0; } summary b { display: inline-block; min-width: 4.2em; }
.GET { color: var(--get); } .POST, .PUT { color: var(--post); } .PATCH { color: var(--patch); }
.DELETE { color: var(--delete); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top; padding: .25rem .5rem;
border-top: 1px solid var(--line); } .quiet { opacity: .7; }
"""

_METHODS: Final = ("get", "post", "put", "patch", "delete")


def content_security_policy() -> str:
    """The header that the page goes out with."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def docs_page(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI document."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                by_tag.setdefault(operation.get("tags", ["other"])[0], []).append(
                    "".join(_operation(path, method.upper(), operation))
                )
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in by_tag.items())
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{escape(info.get('description', ''))} "
        f'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    summary = escape(operation.get("summary", ""))
    yield f'<article><details><summary><b class="{method}">{method}</b> <code>{escape(path)}</code> '
    yield f'<span class="quiet">{summary}</span></summary>'
    for paragraph in operation.get("description", "").split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>" if paragraph else ""
    if operation.get("parameters"):
        yield "<table><tr><th>Parameter</th><th>In</th><th>What</th></tr>"
        yield from map(_parameter, operation["parameters"])
        yield "</table>"
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield _schema(f"Request body ({media_type})", content.get("schema", {}))
    yield "<table><tr><th>Answer</th><th>What</th></tr>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{escape(str(status))}</td><td>{escape(answer['description'])}{_contents(answer)}</td></tr>"
    yield "</table></details></article>"


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = json.dumps(parameter.get("schema", {}), ensure_ascii=False)
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
        f'<td>{escape(parameter.get("description", ""))} <code class="quiet">{escape(schema)}</code></td></tr>'
    )


def _contents(answer: Mapping[str, Any]) -> str:
    shown = (content["schema"] for content in answer.get("content", {}).values() if "schema" in content)
    return "".join(_schema("Schema", schema) for schema in shown if "$ref" not in schema)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
    return f"<details><summary>{escape(name)}</summary><pre>{text}</pre></details>"
