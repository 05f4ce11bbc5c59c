"""Verbs before an outage: what may change by itself, which releases are good, whether all would work."""
