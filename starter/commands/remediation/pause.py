"""``runbook pause``: hold a run before its next step."""

from __future__ import annotations

import click

from runbook_model.messages import Instruction
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.targets import remediation_of
from starter.target_options import reason_option, run_argument


@click.command("pause", epilog=example("runbook pause prod/ai-processor --as alice"))
@run_argument
@reason_option
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, reason: str | None) -> None:
    """Pause a run before its next step.

    ID is ENVIRONMENT/SERVICE or a workflow id. Measurements and approvals continue; no change starts until `runbook
    resume`.
    """
    order = Instruction(by=caller.name, reason=reason)
    send_message(caller, run, "pause", order, remediation_of, durable=True)
