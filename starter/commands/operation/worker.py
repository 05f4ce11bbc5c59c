"""``runbook worker``: run a worker in place of this process."""

from __future__ import annotations

import os
import sys

import click

from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.exits import NAME_A_CATALOG, bad_input
from starter.names import check_name


@click.command("worker", epilog=example("runbook worker --environment prod --environment staging"))
@click.option(
    "--environment",
    "environments",
    metavar="E",
    multiple=True,
    help="Serve only this environment; repeatable.",
    shell_complete=completion.environments,
)
@takes_caller("--catalog")
def command(caller: Caller, *, environments: tuple[str, ...]) -> None:
    """Run a worker. It serves every environment of its catalog, or those that are named."""
    if caller.catalog is None:
        raise bad_input("a worker needs a catalog", NAME_A_CATALOG)
    os.environ["RUNBOOK_CATALOG"] = str(caller.catalog)
    chosen = [word for name in environments for word in ("--environment", check_name("an environment", name))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "worker", *chosen])  # noqa: S606 - no shell is the point
