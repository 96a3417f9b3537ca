"""Parts of the documentation that come from the code: compared by tests, rewritten with UPDATE_DOCS=1."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def check(document: str, name: str, wanted: str) -> None:
    """Fail unless what stands between `<!-- name -->` and `<!-- /name -->` in the document is `wanted`."""
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    match = re.search(rf"(<!-- {name} -->\n)(.*?)(\n<!-- /{name} -->)", text, re.DOTALL)
    assert match, f"{document} lacks the markers of {name}"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(text[: match.start(2)] + wanted + text[match.end(2) :], encoding="utf-8")
        return
    assert match[2] == wanted, f"{document} does not say what the code says: run the tests with UPDATE_DOCS=1"
