"""What a command is about: a target, ``E/S`` by position, and by options too where nothing follows it; or a run. And options of several commands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from starter import completion
from starter.exits import bad_input
from starter.names import Pair, Scope, Words, check_name, parse_pair, parse_scope

T = TypeVar("T")
R = TypeVar("R")


def _parsed(parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    return lambda _, __, text: None if text is None else parse(text)


run_argument = click.argument("run", metavar="ID", shell_complete=completion.runs)
"""The run that a command is about: ``E/S``, or a workflow id."""
reason_option = click.option("--reason", metavar="T", type=Words(), help="Why, for the record.")
"""Why somebody orders something, where it may be left out."""


def listen_option(default: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Make the option that says where a server of ours listens."""
    return click.option(
        "--listen",
        metavar="HOST:PORT",
        default=default,
        show_default=True,
        help="Where to listen; port 0 is any free port.",
    )


target_argument = click.argument(
    "target", metavar="E/S", callback=_parsed(parse_pair), shell_complete=completion.targets
)
"""``E/S`` by position only."""
scope_argument = click.argument(
    "scope",
    metavar="[E|E/S]",
    required=False,
    callback=_parsed(parse_scope),
    shell_complete=completion.scopes,
)
"""``E`` or ``E/S`` by position only; None where it is left out."""


def _or_by_options(
    passed: str,
    parse: Callable[[str], T],
    of_options: Callable[[str | None, str | None], T],
    argument: Callable[[Callable[..., R]], Callable[..., R]],
    helps: tuple[str, str],
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Make the decorator that adds an argument, --service and --environment in its place, and passes on what they mean."""
    of_service, of_environment = helps

    def add(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def wrapper(
            *args: Any, where: str | None, service: str | None, environment: str | None, **kwargs: Any
        ) -> R:
            if where is None:
                meant = of_options(environment, service)
            elif service is None and environment is None:
                meant = parse(where)
            else:
                raise bad_input(
                    "the target is given twice", "write it by position, or give --service and --environment"
                )
            return function(*args, **{passed: meant}, **kwargs)

        by_environment = click.option(
            "--environment", metavar="E", help=of_environment, shell_complete=completion.environments
        )
        by_service = click.option(
            "--service", metavar="S", help=of_service, shell_complete=completion.services
        )
        return argument(by_service(by_environment(wrapper)))

    return add


def _target(environment: str | None, service: str | None) -> Pair:
    if service is None or environment is None:
        raise bad_input(
            "no target is given",
            "write ENVIRONMENT/SERVICE, such as prod/ai-processor, or give --service and --environment",
        )
    return Pair(check_name("an environment", environment), check_name("a service", service))


def _scope(environment: str | None, service: str | None) -> Scope:
    return Scope(
        environment if environment is None else check_name("an environment", environment),
        service if service is None else check_name("a service", service),
    )


takes_target = _or_by_options(
    "target",
    parse_pair,
    _target,
    click.argument("where", metavar="E/S", required=False, shell_complete=completion.targets),
    ("The service, in place of E/S.", "Its environment, in place of E/S."),
)
"""Adds ``E/S``, or --service and --environment in its place, and passes them on as a ``target``."""
takes_scope = _or_by_options(
    "scope",
    parse_scope,
    _scope,
    click.argument("where", metavar="[E|E/S]", required=False, shell_complete=completion.scopes),
    ("Only this service.", "Only this environment."),
)
"""Adds ``E`` or ``E/S``, or the options in its place, and passes them on as a ``scope``: what is not named is not limited."""
