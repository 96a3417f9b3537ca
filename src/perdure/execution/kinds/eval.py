"""Runs one attempt of an eval: each case of its dataset is a recorded step, so none is judged twice (docs/tasks.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from ag_ui.core import CustomEvent
from pydantic_core import from_json, to_json

from perdure.execution.definitions import EvalDefinition
from perdure.execution.eval_config import INVALID_CONFIG, case_names, read_config
from perdure.execution.eval_report import REPORTS_FOLDER, case_of, compared, report_of
from perdure.execution.kinds.eval_context import EvalContext, step_of
from perdure.execution.log import Completed, Outcome, RunContext, RunFailed

if TYPE_CHECKING:
    from pydantic_evals import Case, Dataset

CASE: Final = "perdure.eval.case"
"""Name of the event with which a case is done: {case, done, total, passed, error, assertions, scores, labels}."""

MAX_OUTPUT_BYTES: Final = 1024 * 1024


async def run_eval(definition: EvalDefinition, run: RunContext) -> Outcome:
    """One attempt. A case whose function raises is a result; the run fails where it cannot be evaluated at all.

    Raises RunFailed.
    """
    config = read_config(run.spec.config)
    baseline = await _baseline(run, config.baseline_run_id)
    dataset = _dataset(definition)
    named = list(zip(case_names(dataset.cases), dataset.cases, strict=True))
    chosen = [(name, case) for name, case in named if config.cases is None or name in config.cases]
    if config.cases is not None and len(chosen) < len(set(config.cases)):
        raise RunFailed("config.cases names a case that the dataset does not have.", INVALID_CONFIG)
    cases = await _Evaluation(definition, dataset, run, len(chosen)).all(chosen, config.max_concurrency)
    report = report_of(definition.name, run.run_id, dataset.name, cases)
    if baseline is not None:
        report["baseline"] = compared(report, baseline)
    whole = to_json(report)
    path = f"{REPORTS_FOLDER}/{definition.name.replace(':', '_')}/{run.run_id}.json"
    await run.artifacts.write(path, whole, "application/json")
    if len(whole) > MAX_OUTPUT_BYTES:
        report = {**report, "cases": None, "report": path}
    return Completed(report)


async def _baseline(run: RunContext, run_id: str | None) -> dict[str, Any] | None:
    """The report of another run of an eval. Raises RunFailed where there is none."""
    if run_id is None:
        return None
    stored = None if run.outputs is None else await run.outputs(run_id)
    report = None if stored is None else msgspec.json.decode(stored)
    if not isinstance(report, dict) or not isinstance(report.get("cases"), list) or "eval" not in report:
        raise RunFailed(f"Run {run_id} is no completed eval whose report can be a baseline.", "BASELINE_NOT_FOUND")
    return report


def _dataset(definition: EvalDefinition) -> Dataset[Any, Any, Any]:
    made = definition.dataset
    if callable(made) and not hasattr(made, "cases"):
        made = made()
    if not hasattr(made, "cases") or not hasattr(made, "evaluate"):
        raise RunFailed(f"The dataset of eval {definition.name!r} is no Dataset of pydantic_evals.", "INVALID_DATASET")
    return cast("Dataset[Any, Any, Any]", made)


class _Evaluation:
    """The cases of one attempt."""

    def __init__(
        self, definition: EvalDefinition, dataset: Dataset[Any, Any, Any], run: RunContext, total: int
    ) -> None:
        self._definition = definition
        self._dataset = dataset
        self._run = run
        self._total = total
        self._done = 0

    async def all(self, named: Sequence[tuple[str, Case[Any, Any, Any]]], concurrency: int) -> list[dict[str, Any]]:
        """The results, in the order of the cases."""
        limit = asyncio.Semaphore(concurrency)

        async def one(name: str, case: Case[Any, Any, Any]) -> dict[str, Any]:
            async with limit:
                result: dict[str, Any] = await self._run.step(step_of(name), lambda: self._evaluate(name, case))
                return result

        # What is recorded already does not wait for what is not: the count of the progress begins with it.
        self._done = sum(self._run.run_log.step(f"step:{step_of(name)}") is not None for name, _ in named)
        tasks = [asyncio.create_task(one(name, case)) for name, case in named]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _evaluate(self, name: str, case: Case[Any, Any, Any]) -> dict[str, Any]:
        make = cast("Callable[..., Dataset[Any, Any, Any]]", type(self._dataset))
        alone = make(name=self._dataset.name, cases=[case], evaluators=self._dataset.evaluators)
        function = self._definition.function
        if self._definition.takes_context:
            function = partial(function, EvalContext(name, self._run))
        report = await alone.evaluate(function, progress=False, task_name=self._definition.name)
        result: dict[str, Any] = from_json(to_json(case_of(name, report), fallback=str, inf_nan_mode="null"))
        self._done += 1
        shown = {key: result[key] for key in ("passed", "error", "assertions", "scores", "labels")}
        told = {"case": name, "done": self._done, "total": self._total, **shown}
        await self._run.run_log.emit(CustomEvent(name=CASE, value=told))
        await self._run.progress(self._done, self._total, name)
        return result
