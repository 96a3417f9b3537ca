"""The report of an eval, as JSON: its cases, a summary, and what changed since a baseline (docs/tasks.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

REPORTS_FOLDER: Final = "evals/reports"
"""Where reports are among a run's artifacts: `<folder>/<eval>/<run>.json` (veryfront.md 6)."""

Case = Mapping[str, Any]
"""`{name, inputs, expected_output, metadata, output, error, passed, assertions, scores, labels, reasons, metrics,
evaluator_failures, duration_ms}`; `error` is None unless the function raised, and then there are no judgements."""


def case_of(name: str, report: Any) -> dict[str, Any]:
    """A case as Pydantic Evals reports it, when it was evaluated alone."""
    if report.failures:
        failed = report.failures[0]
        return {**_asked(name, failed), "output": None, "error": failed.error_message, "passed": False, **_judged(None)}
    done = report.cases[0]
    judged = _judged(done)
    passed = all(judged["assertions"].values()) and not judged["evaluator_failures"]
    return {**_asked(name, done), "output": done.output, "error": None, "passed": passed, **judged}


def _asked(name: str, case: Any) -> dict[str, Any]:
    return {
        "name": name,
        "inputs": case.inputs,
        "expected_output": case.expected_output,
        "metadata": case.metadata,
    }


def _judged(case: Any) -> dict[str, Any]:
    if case is None:
        empty = {name: dict[str, Any]() for name in ("assertions", "scores", "labels", "reasons", "metrics")}
        return {**empty, "evaluator_failures": [], "duration_ms": None}
    kinds = {"assertions": case.assertions, "scores": case.scores, "labels": case.labels}
    given = {kind: {key: result.value for key, result in results.items()} for kind, results in kinds.items()}
    reasons = {
        key: result.reason for results in kinds.values() for key, result in results.items() if result.reason is not None
    }
    return {
        **given,
        "reasons": reasons,
        "metrics": dict(case.metrics),
        "evaluator_failures": [{"name": one.name, "error": one.error_message} for one in case.evaluator_failures],
        "duration_ms": round(case.task_duration * 1000),
    }


def report_of(name: str, run_id: str, dataset: str | None, cases: Sequence[Case]) -> dict[str, Any]:
    """The whole report."""
    return {"eval": name, "run_id": run_id, "dataset": dataset, "summary": summary(cases), "cases": list(cases)}


def summary(cases: Sequence[Case]) -> dict[str, Any]:
    """How many cases passed (each assertion held), failed, or raised; and the mean of each score and metric."""
    return {
        "total": len(cases),
        "passed": sum(bool(case["passed"]) for case in cases),
        "failed": sum(not case["passed"] and case["error"] is None for case in cases),
        "errors": sum(case["error"] is not None for case in cases),
        "scores": _means(case["scores"] for case in cases),
        "metrics": _means(case["metrics"] for case in cases),
    }


def _means(measured: Iterable[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for one in measured:
        for key, value in one.items():
            values.setdefault(key, []).append(value)
    return {key: fmean(found) for key, found in sorted(values.items())}


def compared(report: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """What changed since a baseline's report: by case, and in the summary's means."""
    now = {case["name"]: case for case in report["cases"]}
    before = {case["name"]: case for case in baseline["cases"]}
    both = [name for name in now if name in before]
    means = (report["summary"]["scores"], baseline["summary"]["scores"])
    return {
        "run_id": baseline["run_id"],
        "summary": baseline["summary"],
        "improved": [name for name in both if now[name]["passed"] and not before[name]["passed"]],
        "regressed": [name for name in both if before[name]["passed"] and not now[name]["passed"]],
        "added": [name for name in now if name not in before],
        "removed": [name for name in before if name not in now],
        "passed_change": report["summary"]["passed"] - baseline["summary"]["passed"],
        "score_changes": {key: means[0][key] - means[1][key] for key in means[0] if key in means[1]},
    }
