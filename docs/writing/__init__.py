"""Writes what the documentation says of the code from the code itself."""
