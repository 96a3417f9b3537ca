"""The Agent Runs dialect: `/api/v1/agents` (vertesia.md, seed 004)."""
