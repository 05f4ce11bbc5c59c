"""Pause and resume: answered by a worker, or recorded for the one that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starter.connect import converse
from starter.deciding import decide
from starter.exits import bad_input, refused
from starter.printing import answer, say
from starter.targets import ending, remediation_of
from workflows.messages import Hold

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
