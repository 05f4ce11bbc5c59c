"""Makes room on a target: aborts what runs there, keeping its changes, and waits for its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runbook_model.ids import remediation_id
from runbook_model.reports import Abort
from starter.client.deciding import decide
from starter.client.following import wait_for_end
from starter.client.runs import describe
from starter.exits import refused
from starter.printing import note

if TYPE_CHECKING:
    from temporalio.client import Client

    from runbook_model.reports import ProcedureRequest

LONGEST_SECONDS = 60
LONGEST_REASON = 2000
"""As many characters as an abort takes."""


async def make_room(client: Client, request: ProcedureRequest) -> None:
    """Abort the run that holds the target's lock, if there is one.

    Raises:
        CliError: it refuses, or has not ended in time.
    """
    run = await describe(client, remediation_id(request.environment, request.service))
    if run is None or not run.is_open:
        return
    reason = f"replaced: {request.reason or 'no reason given'}"[:LONGEST_REASON]
    order = Abort(by=request.requested_by, reason=reason, keep=True)
    decided = await decide(client, run, "abort_run", "abort", order)
    note(f"replacing {run.procedure} on {run.id} (run {run.run_id}): {decided.detail}")
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            await wait_for_end(client, run)
    except TimeoutError:
        raise refused(
            f"{run.id} was told to stop but has not ended within {LONGEST_SECONDS} s; nothing was started;"
            f" `runbook watch {run.id}` shows why"
        ) from None
