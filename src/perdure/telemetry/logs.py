"""Log lines: one JSON object per line, or coloured lines for a person, with secrets struck out.

Bound fields (`run_id`, `attempt`, `project_id`, `request_id`) are context variables: what is bound where a task starts
is on every line of that task. Lines of libraries that use `logging` take the same way out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger


class LogFormat(StrEnum):
    """`auto`: pretty in `perdure dev`, JSON otherwise."""

    AUTO = "auto"
    JSON = "json"
    PRETTY = "pretty"


REDACTED = "[redacted]"

_SECRET_FIELD = re.compile(
    r"^(proxy.)?authorization$|(^|[_-])(api|private|signing|access)[_-]?key$|apikey|cookie|passw(or)?d|secret"
    r"|(^|[_-])(access|refresh|id|auth|bearer|session|csrf)?[_-]?token$|credential",
    re.IGNORECASE,
)
_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    # …?access_token=x&…, api_key: x, "password": "x"
    (
        re.compile(
            r"""((?:access|refresh|id|auth)?_?token|api[_-]?key|secret|passw(?:or)?d|authorization)(["']?\s*[=:]\s*["']?)"""
            r"""(?!bearer\s|basic\s|\[redacted\])[^\s&"'<>,;)]+""",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/?#@]*):[^\s/?#@]+@", re.IGNORECASE), rf"\1:{REDACTED}@"),
    # API keys: <kind>_<prefix>_<secret> keeps what names it (an ordinary name has no digit or capital); sk-… nothing
    (re.compile(r"\b([a-z]{2,16}_[A-Za-z0-9]{4,32})_(?=[a-z_-]*[0-9A-Z])[A-Za-z0-9_-]{16,}"), rf"\1_{REDACTED}"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"), REDACTED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"), REDACTED),
)
_CHATTY = ("alembic", "asyncio", "httpcore", "httpx", "openai", "urllib3", "uvicorn.access")
"""Libraries whose INFO lines repeat what ours say (or carry whole URLs)."""


def get_logger() -> FilteringBoundLogger:
    """A logger. The first argument is a `LogLine`, values are fields: `log.info(LogLine.RUN_ENDED, status=…)`."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def configure_logging(*, level: str, pretty: bool, stream: TextIO) -> None:
    """Set up logging for the process; called once, by the command line. `level`: debug, info, warning or error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if pretty else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


@contextmanager
def run_context(*, project_id: str, run_id: str, attempt: int | None = None) -> Iterator[None]:
    """Bind a run's ids to every line of the block and of the tasks that start in it."""
    fields: dict[str, object] = {"project_id": project_id, "run_id": run_id}
    if attempt is not None:
        fields["attempt"] = attempt
    with structlog.contextvars.bound_contextvars(**fields):
        yield


@contextmanager
def request_context(*, request_id: str, project_id: str | None = None) -> Iterator[None]:
    """Bind a request's ids to every line of the block."""
    fields = {"request_id": request_id} if project_id is None else {"request_id": request_id, "project_id": project_id}
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def redact(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    """Strike out secrets, by the name of a field or by their look, at any depth (a processor of structlog's).

    A field with a leading underscore is structlog's own baggage, and never written.
    """
    return {name: value if name.startswith("_") else _redacted(name, value) for name, value in fields.items()}


def redact_text(text: str) -> str:
    """Strike out what looks like a secret: keys, tokens and passwords, in URLs and headers too."""
    for pattern, replacement in _IN_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _redacted(name: object, value: Any) -> Any:
    if isinstance(name, str) and value is not None and _SECRET_FIELD.search(name):
        return REDACTED
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: _redacted(key, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(None, inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return redact_text(str(value))
