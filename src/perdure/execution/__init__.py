"""Engines decide which worker runs what and when; executors know how to run one kind of run."""
