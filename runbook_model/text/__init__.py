"""Texts: how they are written, read, bounded, and kept free of secrets. Pure."""
