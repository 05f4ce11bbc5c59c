"""``runbook show``: the page of a run as it is now."""

from __future__ import annotations

import click
from temporalio.client import Client

from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.run_view import look
from starter.client.targets import page_of
from starter.printing import answer, show
from starter.target_options import run_argument
from starter.view.page import render


@click.command(
    "show", epilog=example("runbook show prod/ai-processor", "runbook show prod/ai-processor --json")
)
@run_argument
@takes_caller("--catalog", "--run", "--json")
def command(caller: Caller, run: str) -> None:
    """Show a run as it is now.

    ID is ENVIRONMENT/SERVICE (the open incident, else the remediation) or a workflow id. Works without a worker, and
    after the run has ended.
    """
    converse(lambda client: _show(client, caller, run))


async def _show(client: Client, caller: Caller, text: str) -> None:
    view = await look(client, await page_of(client, text, caller.run_id), caller.catalog)
    if caller.as_json:
        answer(view.document(client))
    else:
        show(render(view))
