"""Talking to Temporal: start, find, decide, follow."""
