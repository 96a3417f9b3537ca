"""The HTTP edge: principals, errors, SSE, pagination, and one package per dialect."""
