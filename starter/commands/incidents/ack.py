"""``runbook ack``: acknowledge an incident."""

from __future__ import annotations

import click

from runbook_model.messages import Instruction
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.targets import page_of
from starter.target_options import reason_option, run_argument


@click.command("ack", epilog=example("runbook ack prod/ai-processor --as alice"))
@run_argument
@reason_option
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, reason: str | None) -> None:
    """Acknowledge an incident; stop paging, unless it gets worse.

    ID is ENVIRONMENT/SERVICE (the open incident, else the remediation) or a workflow id. Recorded even while no worker
    is running.
    """
    send_message(caller, run, "acknowledge", Instruction(by=caller.name, reason=reason), page_of)
