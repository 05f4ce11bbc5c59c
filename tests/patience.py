"""How long tests wait for what has to come."""

PATIENCE = 240.0
"""Seconds. Nothing takes that long, however many others use the machine: only what hangs meets it."""
