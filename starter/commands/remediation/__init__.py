"""Verbs for one run: start it, see it, answer it, stop it."""
