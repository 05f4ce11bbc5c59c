"""Prometheus: queries and their answers."""
