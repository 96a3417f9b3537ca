"""AG-UI: what its clients ask for, and a run's log as their events (docs/ag-ui.md)."""
