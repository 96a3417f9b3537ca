"""Use cases: one function is one transaction, never the HTTP request."""
