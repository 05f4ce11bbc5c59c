"""One verb per module, in packages as the help groups them; each module holds a ``command``."""
