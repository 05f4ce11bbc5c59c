"""Verbs to try the product with: a local sandbox, and one outage in it."""
