"""The benchmark: `python -m bench` measures the rows of the speed table and writes `bench/results.md`.

How it measures, and what each row means: `bench/README.md`.
"""

from __future__ import annotations
