"""``runbook ack``: a person has it, and nobody else is called."""

from __future__ import annotations

import click

from runbook_model.reports import Hold
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import tell
from starter.client.targets import page_of
from starter.exits import bad_input


@click.command("ack", epilog=example("runbook ack prod/ai-processor --as alice"))
@click.argument("run", metavar="ID")
@click.option("--reason", metavar="T", help="For the record.")
@takes_caller
def command(caller: Caller, run: str, *, reason: str | None) -> None:
    """Say that you have it: nobody else is called, unless it gets worse.

    ID is a workflow id, or ENVIRONMENT/SERVICE: the open incident, else the remediation. Recorded also while no worker
    lives.
    """
    if reason and len(reason) > 2000:
        raise bad_input("--reason is longer than 2000 characters")
    tell(caller, run, "acknowledge", Hold(by=caller.name, reason=reason), page_of)
