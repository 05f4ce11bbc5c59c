"""``runbook show``: the page of a run as it stands now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.run_view import look
from starter.client.targets import page_of
from starter.printing import answer, show
from starter.view.page import render

if TYPE_CHECKING:
    from temporalio.client import Client


@click.command(
    "show", epilog=example("runbook show prod/ai-processor", "runbook show prod/ai-processor --json")
)
@click.argument("run", metavar="ID")
@takes_caller
def command(caller: Caller, run: str) -> None:
    """Show the page of a run as it stands now.

    ID is a workflow id, or ENVIRONMENT/SERVICE. Works without a worker, and after the end.
    """
    converse(lambda client: _show(client, caller, run))


async def _show(client: Client, caller: Caller, text: str) -> None:
    sight = await look(client, await page_of(client, text, caller.run_id), caller.catalog)
    if caller.as_json:
        answer(sight.document(client))
    else:
        show(render(sight))
