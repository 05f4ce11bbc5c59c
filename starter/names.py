"""Names that people type, checked before they reach an id or a query."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

from starter.exits import bad_input

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,299}")
KINDS = frozenset({"incident", "remediation", "plan", "hold", "brake", "drill", "ledger", "doctor"})
"""What workflow ids start with; no environment may be called so in a short id."""
SHORTENED = frozenset({"incident", "remediation"})
"""Kinds of ids that the short id stands for."""


class WholeNumber(click.IntRange):
    """A whole number within limits."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, or say which ones are taken."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            limits = f"from {self.min} to {self.max}" if self.max is not None else f"of {self.min} or more"
            self.fail(f"{str(value)!r} is not a whole number {limits}", param, ctx)


class Words(click.ParamType[str]):
    """What a person writes for a record, no longer than the record takes."""

    name = "text"

    def __init__(self, longest: int = 2000) -> None:
        self.longest = longest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text, or say how long it may be."""
        del ctx
        if len(value) > self.longest:
            named = param.opts[0] if param else "it"
            raise bad_input(f"{named} is longer than {self.longest} characters")
        return str(value)


@dataclass(frozen=True)
class Pair:
    """A service in an environment."""

    environment: str
    service: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}"


@dataclass(frozen=True)
class Scope:
    """The targets that a command is about: of one environment, of one service, of both, or all."""

    environment: str | None = None
    service: str | None = None


def check_name(what: str, value: str) -> str:
    """Return a service's or environment's name as it is.

    Raises:
        CliError: it is not a name.
    """
    if not NAME.fullmatch(value):
        raise bad_input(
            f"{value!r} cannot be the name of {what}",
            "write 1 to 63 of a-z, 0-9 and -, starting with a letter or digit",
        )
    return value


def parse_pair(text: str) -> Pair:
    """Read ``E/S``.

    Raises:
        CliError: it is something else.
    """
    environment, slash, service = text.partition("/")
    if not slash:
        raise bad_input(f"{text!r} is not a target", "write ENVIRONMENT/SERVICE, such as prod/ai-processor")
    return Pair(check_name("an environment", environment), check_name("a service", service))


def parse_scope(text: str) -> Scope:
    """Read ``E`` or ``E/S``.

    Raises:
        CliError: it is something else.
    """
    if "/" not in text:
        return Scope(check_name("an environment", text))
    pair = parse_pair(text)
    return Scope(pair.environment, pair.service)


def parse_id(text: str) -> Pair | str:
    """Read an ``ID``: ``E/S`` for short, or a workflow id.

    Raises:
        CliError: it can be neither.
    """
    kind, _, rest = text.partition("/")
    if kind not in KINDS and rest.count("/") == 0 and NAME.fullmatch(kind) and NAME.fullmatch(rest):
        return Pair(kind, rest)
    if not ID.fullmatch(text):
        raise bad_input(
            f"{text!r} is not an id", "write ENVIRONMENT/SERVICE, such as prod/ai-processor, or a workflow id"
        )
    return text


def short_id(workflow_id: str) -> str:
    """Return the ``E/S`` that a person can type in place of a workflow id; the id itself where there is none."""
    kind, *names = workflow_id.split("/")
    return "/".join(names[:2]) if kind in SHORTENED and len(names) >= 2 else workflow_id
