"""Pause and resume: answered by a worker, or recorded for the one that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.reports import Hold
from starter.client.connect import converse
from starter.client.deciding import decide
from starter.client.targets import ending, remediation_of
from starter.exits import bad_input, refused
from starter.printing import answer, say

if TYPE_CHECKING:
    from temporalio.client import Client

    from starter.caller import Caller


def hold(caller: Caller, text: str, update: str, reason: str | None) -> None:
    """Send ``pause`` or ``resume`` and say what came of it.

    Raises:
        CliError: there is no such run, it has ended, or refuses.
    """
    if reason and len(reason) > 2000:
        raise bad_input("--reason is longer than 2000 characters")
    order = Hold(by=caller.name, reason=reason)
    converse(lambda client: _hold(client, caller, text, update, order))


async def _hold(client: Client, caller: Caller, text: str, update: str, order: Hold) -> None:
    run = await remediation_of(client, text, caller.run_id)
    if not run.is_open:
        raise refused(f"{ending(run)}: there is nothing to {update}")
    decided = await decide(client, run, update, update, order)
    if caller.as_json:
        answer(decided.document() | {"id": run.id})
    else:
        say(decided.detail)
