"""Extras of the package that a command needs, which a plain installation does not have."""

from __future__ import annotations

from importlib.util import find_spec

from starter.exits import CliError, Exit

MODULES = {"sandbox": ("moto", "flask", "psutil")}
"""What each extra brings, as modules."""


def check_extra(extra: str, what: str) -> None:
    """Check that an extra is installed.

    Raises:
        CliError: it is not; the message has the command that installs it.
    """
    if any(find_spec(module) is None for module in MODULES[extra]):
        raise CliError(
            Exit.NOT_DONE,
            f"{what} needs the extra {extra!r}, which is not installed",
            f"pip install 'incident-runbooks[{extra}]'",
        )
