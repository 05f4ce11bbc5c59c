"""Reads an account for ``runbook catalog discover``: a process of its own, which only reads."""
