"""Verbs for incidents: open, acknowledge, add to, close, review and count them."""
