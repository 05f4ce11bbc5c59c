"""Who acts."""

from __future__ import annotations

import getpass
import os

from starter.exits import bad_input

LONGEST = 200


def acting_as(option: str | None) -> str:
    """Return who acts: ``--as``, else ``RUNBOOK_USER``, else the OS user.

    Raises:
        CliError: nobody can be named, or the name cannot be written into a record.
    """
    name = option if option is not None else os.environ.get("RUNBOOK_USER") or _os_user()
    name = name.strip()
    if not name or len(name) > LONGEST or not name.isprintable():
        raise bad_input(f"{name!r} is not a name", f"give 1 to {LONGEST} printable characters with --as NAME")
    return name


def _os_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise bad_input("this machine does not know your user name", "give it with --as NAME") from None
