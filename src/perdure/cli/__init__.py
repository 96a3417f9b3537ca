"""The `perdure` command: one module per command group."""
