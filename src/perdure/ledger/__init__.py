"""The log at work: append (group commit), replay, follow, hub, notify (design section 2)."""
