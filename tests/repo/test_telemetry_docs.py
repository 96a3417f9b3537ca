"""docs/operations.md lists every log line, metric and span, and no other module spells such a name."""

from __future__ import annotations

import re

from perdure.telemetry import LogLine, MetricName, Metrics, SpanName
from tests.repo.generated import ROOT, check, table

SOURCE = ROOT / "src" / "perdure"


def code(words: str) -> str:
    return ", ".join(f"`{word.strip()}`" for word in words.split(",") if word.strip())


def test_the_documentation_lists_every_log_line() -> None:
    rows = [(f"`{line}`", line.meaning, code(line.fields)) for line in LogLine]
    check("docs/operations.md", "log lines", table(("event", "meaning", "fields"), rows))


def test_the_documentation_lists_every_metric() -> None:
    rows = [(f"`{name.text}`", name.kind, code(",".join(name.labels)), name.meaning) for name in MetricName]
    check("docs/operations.md", "metrics", table(("metric", "kind", "labels", "meaning"), rows))


def test_the_documentation_lists_every_span() -> None:
    rows = [(f"`{span}`", span.meaning, code(span.attributes)) for span in SpanName]
    check("docs/operations.md", "spans", table(("span", "meaning", "attributes"), rows))


def test_names_are_unique() -> None:
    names = [*LogLine, *(name.text for name in MetricName), *SpanName]
    assert len(set(names)) == len(names)
    assert len(LogLine.__members__) == len(LogLine)
    assert len(MetricName.__members__) == len(MetricName)


def test_every_log_line_is_written_somewhere() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py"))
    assert [name for name in LogLine.__members__ if not re.search(rf"\bLogLine\.{name}\b", source)] == []


def test_every_metric_is_measured_somewhere() -> None:
    source = "".join(
        path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py") if path.parent.name != "telemetry"
    )
    methods = [name for name, value in vars(Metrics).items() if not name.startswith("_") and callable(value)]
    assert [name for name in methods if f"metrics.{name}(" not in source] == []


def test_names_are_spelled_in_one_place() -> None:
    names = [*LogLine, *(name.text for name in MetricName)]
    elsewhere = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in SOURCE.rglob("*.py")
        if path.name != "names.py"
        for name in names
        if f'"{name}"' in path.read_text(encoding="utf-8")
    }
    assert elsewhere == set()
