"""Files and functions stay small, and nothing hides from the type checker (style section 2, number 4)."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
TYPED = sorted(path for folder in ("src", "tests", "bench") for path in (ROOT / folder).rglob("*.py"))
MAX_FILE_LINES = 400
MAX_STATEMENTS = 40
MAX_AGENTS_LINES = 150
SUPPRESSION = "type: " + "ignore"
"""Taken apart, so that whoever searches for suppressions does not find the test that forbids them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def statements(function: Function) -> int:
    """How many statements a function holds, those of inner functions included and its docstring not."""
    inside = sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1
    return inside - (ast.get_docstring(function) is not None)


def line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_the_gate_sees_the_package() -> None:
    assert SOURCE / "perdure" / "__init__.py" in MODULES


@pytest.mark.parametrize("suffix", [".py", ".sql"])
def test_source_files_are_short(suffix: str) -> None:
    long = {
        relative(path): lines
        for path in sorted(SOURCE.rglob(f"*{suffix}"))
        if (lines := line_count(path)) > MAX_FILE_LINES
    }
    assert not long, f"more than {MAX_FILE_LINES} lines, split them: {long}"


def test_functions_are_short() -> None:
    long = {
        f"{relative(path)}:{function.lineno} {function.name}": count
        for path in MODULES
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if (count := statements(function)) > MAX_STATEMENTS
    }
    assert not long, f"more than {MAX_STATEMENTS} statements: {long}"


def test_imports_stand_at_the_top() -> None:
    hidden = [
        f"{relative(path)}:{node.lineno}"
        for path in MODULES
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden, f"imports inside functions hide cycles: {hidden}"


def test_no_type_error_is_suppressed() -> None:
    suppressed = [
        f"{relative(path)}:{token.start[0]}"
        for path in TYPED
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
        if token.type == tokenize.COMMENT and SUPPRESSION in token.string
    ]
    assert not suppressed, f"say it in types instead: {suppressed}"


def test_the_rulebook_is_short() -> None:
    assert line_count(ROOT / "AGENTS.md") <= MAX_AGENTS_LINES
