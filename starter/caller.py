"""What every command accepts: who acts, which catalog, which run, and whether the answer is for a program."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import click

from starter.exits import bad_input
from starter.identity import acting_as

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


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


def takes_caller(function: Callable[Concatenate[Caller, P], T]) -> Callable[P, T]:
    """Add the options that every command accepts, and pass them on as one ``Caller``."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        caller = Caller(
            named=_text(kwargs.pop("named")),
            catalog_file=_text(kwargs.pop("catalog_file")),
            run_id=_run_id(kwargs.pop("run_id")),
            as_json=bool(kwargs.pop("as_json")),
        )
        return function(caller, *args, **kwargs)

    options = (
        click.option("--as", "named", metavar="NAME", help="Who acts; else RUNBOOK_USER, else the OS user."),
        click.option("--catalog", "catalog_file", metavar="FILE", help="The catalog; else RUNBOOK_CATALOG."),
        click.option("--run", "run_id", metavar="RUN_ID", help="An older run of the same id."),
        click.option("--json", "as_json", is_flag=True, help="Answer with one JSON document on stdout."),
    )
    decorated: Callable[P, T] = wrapper
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def example(*lines: str) -> str:
    """Write a command's example, below its options."""
    return "\n".join(("\b", "Example:", *(f"  {line}" for line in lines)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _run_id(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return str(UUID(value))
    except ValueError:
        raise bad_input(f"--run {value}: not the id of a run", "`runbook list --json` shows them") from None
