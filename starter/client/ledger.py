"""What workers keep for an environment: its brakes, and the ledger of releases, shown and corrected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.runs import OPEN, read_pollers
from runbook_model.brakes import BrakeReport, BrakeRequest
from runbook_model.messages import StartSignature
from runbook_model.names import ids
from runbook_model.names.ids import is_ledger_of, ledger_id, task_queue
from starter.client.connect import RPC_TIMEOUT
from starter.client.run_view import ANSWER_TIMEOUT
from starter.client.runs import Run, describe, find
from starter.exits import CliError, Exit, bad_input, refused
from workflows.decisions.endings import ASKED_WRONGLY, NOT_ALLOWED, NOT_WARRANTED, cause_of, fix_of
from workflows.ledger import SIGNED_WITHIN, LedgerPage, LedgerRequest, ReleaseLedger

Sign = Callable[[Run], Awaitable[StartSignature]]

AT_MOST = timedelta(seconds=60)
"""Temporal ends the look after this time, so that no correction is started long after whoever asked has left."""

LIMIT = 1000


async def read_ledger(
    client: Client,
    request: LedgerRequest,
    sign: Sign | None = None,
    *,
    signed_within: timedelta = SIGNED_WITHIN,
    joined: str | None = None,
) -> LedgerPage:
    """Have a worker read the ledger of a target, after a correction if the request holds one.

    Args:
        client: of the server.
        request: what is asked.
        sign: signs the correction for the run that was started; None where nobody signs.
        signed_within: how long it may take until enough people have signed.
        joined: the run of a correction that somebody else started and that needs one signature more; None starts one.

    Raises:
        CliError: no worker, no such target or release, or AWS refuses.
    """
    await _check_worker(client, request.environment)
    verb = f"marks a release {request.judgement}" if request.judgement else "shows the releases"
    at_most = AT_MOST + signed_within if sign else AT_MOST
    handle: WorkflowHandle[Any, LedgerPage]
    if joined:
        handle = client.get_workflow_handle_for(ReleaseLedger.run, joined)
    else:
        handle = await client.start_workflow(
            ReleaseLedger.run,
            request.model_copy(update={"signs": sign is not None}),
            id=ledger_id(request.environment, request.service, uuid4().hex[:8]),
            task_queue=task_queue(request.environment),
            execution_timeout=at_most,
            static_summary=f"{request.by} {verb} of {request.service} in {request.environment}",
            rpc_timeout=RPC_TIMEOUT,
        )
    if sign:
        run = await describe(client, handle.id)
        if run is None or not run.is_open or not is_ledger_of(run.id, request.environment, request.service):
            raise bad_input(f"{handle.id} is no mark of {request.environment}/{request.service} that waits")
        await handle.signal("sign", await sign(run), rpc_timeout=RPC_TIMEOUT)
    try:
        async with asyncio.timeout((at_most + 2 * RPC_TIMEOUT).total_seconds()):
            return await handle.result()
    except WorkflowFailureError as error:
        raise _as_error(error, request, handle.id) from error
    except TimeoutError:
        raise _no_answer(request, handle.id) from None


async def _check_worker(client: Client, environment: str) -> None:
    try:
        there = await read_pollers(client, task_queue(environment), timedelta(seconds=1))
    except RPCError as error:
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise
        return  # it can still be asked; only the quick answer is lost
    if not there:
        raise CliError(
            Exit.NOT_DONE,
            f"no worker serves {environment} now, and only a worker reaches AWS: nothing was read or marked",
            f"start one with `runbook worker --environment {environment}`",
        )


def _as_error(error: WorkflowFailureError, request: LedgerRequest, workflow_id: str) -> CliError:
    cause = cause_of(error)
    if cause is None:
        return _no_answer(request, workflow_id)
    if cause.type in ASKED_WRONGLY:
        return bad_input(cause.message, fix_of(cause))
    if cause.type in {NOT_ALLOWED, NOT_WARRANTED}:
        return refused(cause.message, fix_of(cause))
    return CliError(Exit.NOT_DONE, f"{cause.message} ({workflow_id})", fix_of(cause))


def _no_answer(request: LedgerRequest, workflow_id: str) -> CliError:
    open_end = (
        "; whether it was marked is not known: `runbook release list` shows it" if request.judgement else ""
    )
    return CliError(
        Exit.NOT_DONE,
        f"no answer within {AT_MOST.total_seconds():.0f} s ({workflow_id}){open_end}",
        f"is a worker alive? `runbook worker --environment {request.environment}` starts one",
    )


async def open_brake(client: Client, environment: str) -> Run:
    """Return the run of an environment's brake, which is started where there is none."""
    workflow_id = ids.brake_id(environment)
    await client.start_workflow(
        "Brake",
        BrakeRequest(environment=environment),
        id=workflow_id,
        task_queue=ids.task_queue(environment),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"The brake of {environment}",
        rpc_timeout=RPC_TIMEOUT,
    )
    run = await describe(client, workflow_id)
    assert run is not None
    return run


async def brakes(client: Client) -> dict[str, BrakeReport | None]:
    """Read every environment's brake; None for one that no worker tells."""
    found, _ = await find(client, f'WorkflowType = "Brake" AND {OPEN}', LIMIT)
    return {
        run.environment: await read_brake_report(client, run.id)
        for run in sorted(found, key=lambda run: run.id)
    }


async def read_brake_report(client: Client, workflow_id: str) -> BrakeReport | None:
    """Ask a brake how it stands; None when no worker answers."""
    handle = client.get_workflow_handle(workflow_id)
    try:
        report: BrakeReport = await handle.query(
            "status", result_type=BrakeReport, rpc_timeout=ANSWER_TIMEOUT
        )
    except (WorkflowQueryFailedError, ValueError, RuntimeError):
        return None
    except RPCError as error:
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise  # any other is a worker that does not answer in time
        return None
    return report
