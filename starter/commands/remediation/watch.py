"""``runbook watch``: the page of a run, live until its end."""

from __future__ import annotations

import click
from temporalio.client import Client

from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.targets import page_of
from starter.exits import Exit
from starter.printing import answer, note, on_terminal
from starter.target_options import run_argument
from starter.view.watching import watch_live, watch_plainly, watch_silently


@click.command("watch", epilog=example("runbook watch prod/ai-processor"))
@run_argument
@takes_caller("--catalog", "--run", "--json")
def command(caller: Caller, run: str) -> Exit:
    """Follow a run until it ends; the exit code says how it ended.

    ID is ENVIRONMENT/SERVICE (the open incident, else the remediation) or a workflow id. Workers and Temporal may restart
    meanwhile. Ctrl-C ends only this command.
    """
    try:
        return converse(lambda client: _watch(client, caller, run))
    except KeyboardInterrupt:
        note(f"no longer following; the run continues: runbook watch {run}")
        raise


async def _watch(client: Client, caller: Caller, text: str) -> Exit:
    run = await page_of(client, text, caller.run_id)
    if caller.as_json:
        view = await watch_silently(client, run, caller.catalog)
        answer(view.document(client))
    elif on_terminal():
        view = await watch_live(client, run, caller.catalog)
    else:
        view = await watch_plainly(client, run, caller.catalog)
    return view.exit_code
