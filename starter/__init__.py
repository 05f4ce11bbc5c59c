"""The command line: starts procedures, shows them, and carries decisions to them."""

VERSION = "0.1.0"
"""Of the product, as in pyproject.toml: an image of it has no package's metadata to ask."""
