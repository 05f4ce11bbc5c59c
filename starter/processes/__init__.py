"""Processes and servers that the command line starts."""
