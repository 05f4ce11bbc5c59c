"""Verbs that set the product up and keep it running."""
