"""Why a process does not start whose application is wrong; apart, because the command line knows it before all else."""

from __future__ import annotations

from perdure.domain.errors import PerdureError


class AppNotLoaded(PerdureError):
    """The user's application could not be loaded."""

    code = "app_not_loaded"
