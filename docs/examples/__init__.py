"""Worked examples of the documentation, run by tests."""
