"""Where a worker's tasks run: which App their processes load, and what of the worker's environment they see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

PASSED_ON: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "PYTHONPATH", "SHELL", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR",
        "TZ", "USER", "VIRTUAL_ENV",
    }
)  # fmt: skip
_PASSED_ON_BEGIN: Final = "LC_"


@dataclass(frozen=True, slots=True)
class TaskSite:
    """`app` names the App as `perdure worker` does (None: it was not loaded by name, so only commands can run).

    `environment` is the worker's; of it a task sees what every program needs, and the names that it asks for.
    """

    app: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def environment_for(self, inherit: Iterable[str]) -> dict[str, str]:
        """What a task sees of the worker's environment: the allowed variables, and those named."""
        named = frozenset(inherit)
        return {
            name: value
            for name, value in self.environment.items()
            if name in PASSED_ON or name in named or name.startswith(_PASSED_ON_BEGIN)
        }
