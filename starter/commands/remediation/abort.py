"""``runbook abort``: stop a run safely, at any point."""

from __future__ import annotations

import click
from temporalio.client import Client

from runbook_model.messages import Abort
from starter.caller import Caller, example, takes_caller
from starter.client.deciding import send_message
from starter.client.runs import Run
from starter.client.signing import sign_order
from starter.client.targets import remediation_of
from starter.exits import bad_input
from starter.names import Words
from starter.signing import SigningOptions, takes_signing
from starter.target_options import run_argument


@click.command("abort", epilog=example("runbook abort prod/ai-processor --reason 'wrong service' --as alice"))
@run_argument
@click.option("--reason", metavar="T", type=Words(), required=True, help="Why, for the record.")
@click.option("--keep", is_flag=True, help="Keep the changes.")
@click.option("--undo", is_flag=True, help="Undo the changes.")
@click.option("--yes", is_flag=True, help="Undo even if that restores a release marked bad.")
@takes_signing()
@takes_caller("--as", "--run", "--json")
def command(
    caller: Caller,
    run: str,
    *,
    reason: str,
    keep: bool,
    undo: bool,
    yes: bool,
    signing: SigningOptions,
) -> None:
    """Stop a run safely, and keep or undo its changes.

    ID is ENVIRONMENT/SERVICE or a workflow id. By default a rollback keeps its changes, and every other procedure undoes
    them. Where decisions are signed, only a signed --undo undoes them.
    """
    if keep and undo:
        raise bad_input("--keep and --undo exclude each other", "choose one")
    order = Abort(
        by=caller.name, reason=reason, keep=True if keep else False if undo else None, confirmed=yes
    )

    async def sign(client: Client, found: Run) -> Abort | None:
        return await sign_order(
            client,
            caller,
            signing,
            order,
            kind="end-hold" if found.procedure == "hold" else "undo",
            order={"reason": order.reason, "confirmed": order.confirmed},
            run=found,
        )

    send_message(caller, run, "abort", order, remediation_of, sign if undo else None, durable=True)
