"""One module for each way of running a run."""
