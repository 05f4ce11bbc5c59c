"""Releases, how they are rolled out, and how many tasks run. Pure."""
