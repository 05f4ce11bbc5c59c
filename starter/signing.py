"""Options of commands that decide: sign here, or print what is to be signed elsewhere and send what was."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from starter.exits import bad_input

P = ParamSpec("P")
T = TypeVar("T")
KEY = "RUNBOOK_SIGNING_KEY"


@dataclass(frozen=True)
class SigningOptions:
    """How a decision is signed."""

    key: str | None = None
    """File of the key; of one in an agent or in hardware its public half."""
    asked: bool = False
    """Whether the command itself names the key: then it signs whatever the local catalog says."""
    print_statement: bool = False
    statement: Path | None = None
    signature: Path | None = None

    @property
    def active(self) -> bool:
        """Whether anything may be signed, printed, or sent that was signed."""
        return bool(self.key or self.print_statement or self.statement)

    @property
    def elsewhere(self) -> bool:
        """Whether what was signed on another machine is sent."""
        return self.statement is not None


def takes_signing(*, elsewhere: bool = True) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Add the options, and pass them on as ``signing``.

    Args:
        elsewhere: whether it can be signed on another machine; what is signed has to be known before anything is sent.
    """

    def add(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            kwargs["signing"] = _options(
                kwargs.pop("sign"),
                print_statement=bool(kwargs.pop("print_statement", False)),
                statement=kwargs.pop("statement", None),
                signature=kwargs.pop("signature", None),
            )
            return function(*args, **kwargs)

        decorated: Callable[P, T] = wrapper
        for option in _declared(elsewhere=elsewhere):
            decorated = option(decorated)
        return decorated

    return add


def _declared(*, elsewhere: bool) -> list[Callable[[Callable[P, T]], Callable[P, T]]]:
    """Make the options, last first, as decorators add them."""
    file = click.Path(exists=True, dir_okay=False, readable=True)
    more = [
        click.option("--signature", metavar="FILE", type=file, help="Its signature, by ssh-keygen -Y sign."),
        click.option("--statement", metavar="FILE", type=file, help="Send a statement signed elsewhere."),
        click.option(
            "--print-statement", is_flag=True, help="Print what to sign elsewhere, and send nothing."
        ),
    ]
    sign = click.option(
        "--sign",
        metavar="KEYFILE",
        type=click.Path(),
        help=f"Sign with this key, by ssh-keygen. Default: {KEY}.",
    )
    return [*(more if elsewhere else []), sign]


def _options(sign: object, *, print_statement: bool, statement: object, signature: object) -> SigningOptions:
    if (statement is None) is not (signature is None):
        raise bad_input("--statement and --signature belong together", "give both files")
    if statement and (sign or print_statement):
        raise bad_input("--statement is signed already", "leave out --sign and --print-statement")
    if sign and print_statement:
        raise bad_input("--sign and --print-statement exclude each other", "choose one")
    key = str(sign) if sign else os.environ.get(KEY) or None
    return SigningOptions(
        key=None if statement or print_statement else key,
        asked=bool(sign),
        print_statement=print_statement,
        statement=Path(str(statement)) if statement else None,
        signature=Path(str(signature)) if signature else None,
    )
