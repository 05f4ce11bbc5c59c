"""``runbook resume``: continue a paused run."""

from __future__ import annotations

import click
from temporalio.client import Client

from runbook_model.messages import Instruction
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.run_view import look
from starter.client.runs import Run
from starter.client.signing import sign_order
from starter.client.targets import remediation_of
from starter.signing import SigningOptions, takes_signing
from starter.target_options import reason_option, run_argument


@click.command("resume", epilog=example("runbook resume prod/ai-processor --as alice"))
@run_argument
@reason_option
@takes_signing()
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, reason: str | None, signing: SigningOptions) -> None:
    """Continue a paused run.

    ID is ENVIRONMENT/SERVICE or a workflow id. The plan is checked again before anything is changed.
    """
    order = Instruction(by=caller.name, reason=reason)

    async def sign(client: Client, found: Run) -> Instruction | None:
        view = await look(client, found, caller.catalog)
        return await sign_order(
            client,
            caller,
            signing,
            order,
            kind="resume",
            order={"reason": reason},
            run=found,
            first=found.procedure == "incident",
            sequence=view.report.resumed if view.live else None,
        )

    send_message(caller, run, "resume", order, remediation_of, sign if signing.active else None, durable=True)
