"""Options that every command accepts; its help shows those that mean something there."""

from __future__ import annotations

import functools
import getpass
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar
from uuid import UUID

import click

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


P = ParamSpec("P")

T = TypeVar("T")

Shown = Literal["--as", "--catalog", "--run", "--json"]


@dataclass(frozen=True)
class Caller:
    """Who calls, and how they want the answer."""

    named: str | None = None
    catalog_file: str | None = None
    run_id: str | None = None
    as_json: bool = False

    @property
    def name(self) -> str:
        """Who acts."""
        return acting_as(self.named)

    @property
    def catalog(self) -> Path | None:
        """The catalog file, if one is configured."""
        configured = self.catalog_file or os.environ.get("RUNBOOK_CATALOG")
        return Path(configured) if configured else None


def takes_caller(
    *shown: Shown,
) -> Callable[[Callable[Concatenate[Caller, P], T]], Callable[P, T]]:
    """Add the options that every command accepts, and pass them on as one ``Caller``.

    Args:
        shown: those that mean something to the command; the others are accepted and not shown.
    """

    def add(function: Callable[Concatenate[Caller, P], T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            caller = Caller(
                named=_text(kwargs.pop("named")),
                catalog_file=_text(kwargs.pop("catalog_file")),
                run_id=_run_id(kwargs.pop("run_id")),
                as_json=bool(kwargs.pop("as_json")),
            )
            return function(caller, *args, **kwargs)

        decorated: Callable[P, T] = wrapper
        for option in _options(shown):
            decorated = option(decorated)
        return decorated

    return add


def _options(shown: Collection[Shown]) -> Iterator[Callable[[Callable[P, T]], Callable[P, T]]]:
    """Make the options, last first, as decorators add them."""
    yield click.option(
        "--json",
        "as_json",
        is_flag=True,
        help="Print one JSON document on stdout.",
        hidden="--json" not in shown,
    )
    yield click.option(
        "--run",
        "run_id",
        metavar="RUN_ID",
        help="Use an older run of the same id.",
        hidden="--run" not in shown,
    )
    yield click.option(
        "--catalog",
        "catalog_file",
        metavar="FILE",
        type=click.Path(),
        help="The catalog. Default: RUNBOOK_CATALOG.",
        hidden="--catalog" not in shown,
    )
    yield click.option(
        "--as",
        "named",
        metavar="NAME",
        help="Who acts. Default: RUNBOOK_USER, else the OS user.",
        hidden="--as" not in shown,
    )


def example(*lines: str) -> str:
    """Return a command's example as the end of its help."""
    return "\n".join(("\b", "Example:", *(f"  {line}" for line in lines)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _run_id(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return str(UUID(value))
    except ValueError:
        raise bad_input(f"--run {value} is not the id of a run", "`runbook list --json` shows them") from None
