"""Verifies what people signed."""
