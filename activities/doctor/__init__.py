"""Checks of the setup, as a worker sees it."""
