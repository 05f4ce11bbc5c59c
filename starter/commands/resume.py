"""``runbook resume``: let a run that is held go on."""

from __future__ import annotations

import click

from starter.caller import Caller, example, takes_caller
from starter.client.deciding import hold


@click.command("resume", epilog=example("runbook resume prod/ai-processor --as alice"))
@click.argument("run", metavar="ID")
@click.option("--reason", metavar="T", help="Why, for the record.")
@takes_caller
def command(caller: Caller, run: str, *, reason: str | None) -> None:
    """Let a run that is held go on.

    ID is a workflow id, or ENVIRONMENT/SERVICE. What was true when it was held is checked again before anything is changed.
    """
    hold(caller, run, "resume", reason)
