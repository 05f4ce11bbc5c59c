"""``runbook close``: close an incident."""

from __future__ import annotations

import click
from temporalio.client import Client

from runbook_model.incident.messages import Closing
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.run_view import look
from starter.client.runs import Run
from starter.client.signing import sign_order
from starter.client.targets import incident_of
from starter.names import Words
from starter.signing import SigningOptions, takes_signing
from starter.target_options import run_argument
from workflows.incidents.report import IncidentReport


@click.command(
    "close", epilog=example("runbook close prod/ai-processor --root-cause 'the disk of db-2 was full'")
)
@run_argument
@click.option(
    "--root-cause", metavar="T", type=Words(), required=True, help="The root cause, for the review."
)
@takes_signing()
@takes_caller("--as", "--run", "--json")
def command(caller: Caller, run: str, *, root_cause: str, signing: SigningOptions) -> None:
    """Close an incident that a person took over, or that a person opened.

    ID is ENVIRONMENT/SERVICE or a workflow id. Refused while a procedure is running. The outcome is `recovered` only if
    alerts or readings show it.
    """
    closing = Closing(by=caller.name, root_cause=root_cause)

    async def sign(client: Client, run: Run) -> Closing | None:
        report = (await look(client, run, caller.catalog)).report
        return await sign_order(
            client,
            caller,
            signing,
            closing,
            kind="close",
            order={"root_cause": root_cause},
            run=run,
            first=True,
            sequence=report.closings if isinstance(report, IncidentReport) else None,
        )

    send_message(caller, run, "close", closing, incident_of, sign if signing.active else None)
