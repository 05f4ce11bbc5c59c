"""``runbook pause``: hold a run before its next step."""

from __future__ import annotations

import click

from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import hold


@click.command("pause", epilog=example("runbook pause prod/ai-processor --as alice"))
@click.argument("run", metavar="ID", shell_complete=completion.runs)
@click.option("--reason", metavar="T", help="Why, for the record.")
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, reason: str | None) -> None:
    """Pause a run before its next step.

    ID is ENVIRONMENT/SERVICE or a workflow id. Measurements and approvals continue; no change starts until `runbook
    resume`.
    """
    hold(caller, run, "pause", reason)
