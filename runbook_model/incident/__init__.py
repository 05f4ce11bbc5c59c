"""An incident: its alerts, its account, and the messages about it."""
