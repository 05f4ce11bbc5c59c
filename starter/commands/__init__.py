"""One verb per module; each holds a ``command``."""
