"""Perdure: a self-hosted server for durable agent runs."""

from __future__ import annotations

from importlib.metadata import version

from perdure.execution.registry import App

__all__ = ["App", "__version__"]

__version__ = version("perdure")
