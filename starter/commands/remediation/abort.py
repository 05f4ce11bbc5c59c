"""``runbook abort``: stop a run safely, at any point."""

from __future__ import annotations

import click
from temporalio.client import Client

from runbook_model.authority.statement import Kind
from runbook_model.messages import Abort
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.deciding import decide, say_decided
from starter.client.signing import sign_order
from starter.client.targets import ending, remediation_of
from starter.exits import bad_input, refused
from starter.signing import SigningOptions, takes_signing
from starter.target_options import run_argument


@click.command("abort", epilog=example("runbook abort prod/ai-processor --reason 'wrong service' --as alice"))
@run_argument
@click.option("--reason", metavar="T", required=True, help="Why, for the record.")
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
    if not reason.strip() or len(reason) > 2000:
        raise bad_input("--reason needs 1 to 2000 characters", "say why, for the record")
    order = Abort(
        by=caller.name, reason=reason, keep=True if keep else False if undo else None, confirmed=yes
    )
    converse(lambda client: _abort(client, caller, run, order, signing))


async def _abort(client: Client, caller: Caller, text: str, order: Abort, signing: SigningOptions) -> None:
    run = await remediation_of(client, text, caller.run_id)
    if not run.is_open:
        raise refused(f"{ending(run)}: there is nothing left to abort")
    if order.keep is False:
        said = {"reason": order.reason, "confirmed": order.confirmed}
        kind: Kind = "end-hold" if run.procedure == "hold" else "undo"
        signed = await sign_order(
            client,
            caller,
            signing,
            order,
            kind=kind,
            order=said,
            run=run,
            environment=run.environment,
            service=run.service,
        )
        if signed is None:
            return
        order = signed
    say_decided(caller, run, await decide(client, run, "abort_run", "abort", order))
