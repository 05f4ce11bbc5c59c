"""Carries what people say to an incident, or to the procedure that runs without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starter.client.connect import converse
from starter.client.deciding import Decided, ask, decide
from starter.client.targets import ending
from starter.exits import CliError, Exit, refused
from starter.printing import answer, say

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporalio.client import Client

    from runbook_model.reports import Message
    from starter.caller import Caller
    from starter.client.runs import Run

    Which = Callable[[Client, str, str | None], Awaitable[Run]]


def tell(caller: Caller, text: str, what: str, message: Message, which: Which) -> None:
    """Send it and say what came of it; to an incident also while no worker lives.

    Raises:
        CliError: there is no such run, it has ended, or refuses.
    """
    converse(lambda client: _tell(client, caller, text, what, message, which))


async def _tell(client: Client, caller: Caller, text: str, what: str, message: Message, which: Which) -> None:
    run = await which(client, text, caller.run_id)
    if not run.is_open:
        raise refused(f"{ending(run)}: there is nothing to {what}")
    decided = await _decided(client, run, what, message)
    if caller.as_json:
        answer(decided.document() | {"id": run.id})
    else:
        say(decided.detail)


async def _decided(client: Client, run: Run, what: str, message: Message) -> Decided:
    if run.procedure == "incident":
        return await decide(client, run, what, what, message)
    answered = await ask(client, run, what, message)
    if answered is None:
        raise CliError(Exit.NOT_DONE, f"no worker answers for {run.id}: {what} it again once one is back")
    return Decided(confirmed=True, detail=answered.detail, already=answered.already)
