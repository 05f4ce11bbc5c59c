"""Starts a procedure, whose workflow id is the lock of its target, and follows a run to its end, through restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.temporal.runs import read_pollers
from runbook_model.messages import Abort, ProcedureRequest
from runbook_model.names import ids
from runbook_model.names.ids import remediation_id
from runbook_model.names.procedures import workflow_type
from runbook_model.text.plain_text import markdown
from starter.client.connect import RPC_TIMEOUT, is_unreachable
from starter.client.deciding import decide
from starter.client.run_view import RunView, look
from starter.client.runs import Run, describe
from starter.exits import CliError, refused
from starter.names import short_id
from starter.printing import ago, clock, note
from workflows.page.options import TASK_TIMEOUT, search_attributes

EVERY_SECONDS = 0.5

FIRST_ANSWER_SECONDS = 3

FIRST_ANSWER_EVERY_SECONDS = 0.1


async def begin(
    client: Client,
    procedure: str,
    request: ProcedureRequest,
    *,
    workflow_id: str | None = None,
    at_most: timedelta | None = None,
) -> str:
    """Start a procedure and return its run id.

    Raises:
        CliError: something runs on this target already.
    """
    workflow_id = workflow_id or ids.remediation_id(request.environment, request.service)
    try:
        handle = await client.start_workflow(
            workflow_type(procedure),
            request,
            id=workflow_id,
            task_queue=ids.task_queue(request.environment),
            execution_timeout=at_most,
            task_timeout=TASK_TIMEOUT,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            memo={"request": request},
            search_attributes=search_attributes(procedure, request),
            static_summary=f"{procedure} of {request.service} in {request.environment}",
            static_details=_details(procedure, request),
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        raise await _already_running(client, workflow_id) from None
    assert handle.first_execution_run_id is not None
    return handle.first_execution_run_id


async def warn_without_worker(client: Client, environment: str) -> bool:
    """Say on stderr that nobody works on this environment's queue, when it can be determined quickly; returns whether anybody may."""
    try:
        there = bool(await read_pollers(client, ids.task_queue(environment), timedelta(seconds=1)))
    except RPCError:
        return True  # only a courtesy: the run is started either way
    if not there:
        note(
            f"no worker serves {environment} now; the run waits until one does"
            f" (`runbook worker --environment {environment}`)"
        )
    return there


def _details(procedure: str, request: ProcedureRequest) -> str:
    lines = [
        f"**{procedure}** of **{markdown(request.service)}** in **{markdown(request.environment)}**",
        "",
        f"- asked by {markdown(request.requested_by)}",
        f"- reason: {markdown(request.reason or 'none given')}",
    ]
    if request.plan_only:
        lines.append("- plans only: nothing is changed")
    return "\n".join(lines)


async def _already_running(client: Client, workflow_id: str) -> CliError:
    """Name what runs already: since when, started by whom, and how to continue from here."""
    run = await describe(client, workflow_id)
    if run is None or not run.is_open:
        return refused(f"{workflow_id} was running until this moment", "start again")
    request = await run.memo_value(client, "request", ProcedureRequest)
    by = f" by {request.requested_by}" if request else ""
    short = short_id(workflow_id)
    return refused(
        f"{workflow_id} runs already: {run.procedure}, started{by} at {clock(run.started)} ({ago(run.started)} ago),"
        f" {run.state}",
        f"see it with `runbook show {short}`, stop it with `runbook abort {short} --reason WHY`, or start with --replace",
    )


LONGEST_SECONDS = 60

LONGEST_REASON = 2000
"""As many characters as an abort takes."""


async def make_room(client: Client, request: ProcedureRequest) -> None:
    """Abort the run that holds the target's lock, if there is one; one that no worker of ours could end is terminated.

    Raises:
        CliError: it refuses, or has not ended in time.
    """
    run = await describe(client, remediation_id(request.environment, request.service))
    if run is None or not run.is_open:
        return
    if run.queue != ids.task_queue(request.environment):
        why = f"it waits on the queue {run.queue}, which no worker of {request.environment} serves"
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        await handle.terminate(reason=f"replaced by {request.requested_by}: {why}", rpc_timeout=RPC_TIMEOUT)
        note(f"replacing {run.id} (run {run.run_id}): terminated, {why}")
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
            f"{run.id} was asked to stop but has not ended within {LONGEST_SECONDS} s; nothing was started",
            f"`runbook watch {short_id(run.id)}` shows why",
        ) from None


async def follow(client: Client, run: Run, catalog: Path | None = None) -> AsyncIterator[RunView | None]:
    """Look at a run again and again until it has ended; None while Temporal itself is away."""
    while True:
        view = await _try_read(client, run, catalog)
        yield view
        if view and not view.run.is_open:
            return
        await asyncio.sleep(EVERY_SECONDS)


async def wait_for_end(client: Client, run: Run, catalog: Path | None = None) -> RunView:
    """Wait for a run's end without asking its worker anything meanwhile."""
    while True:
        try:
            now = await _newest(client, run)
            if now and not now.is_open:
                return await look(client, now, catalog)
        except RPCError as error:
            if not is_unreachable(error):
                raise
        await asyncio.sleep(EVERY_SECONDS)


async def first_answer(client: Client, run: Run, catalog: Path | None = None) -> RunView | None:
    """Wait briefly until a run may work on its target, or has ended without; None where neither is known in time."""
    with suppress(TimeoutError, RPCError):
        async with asyncio.timeout(FIRST_ANSWER_SECONDS):
            while True:
                view = await _try_read(client, run, catalog)
                if view and (view.report.admitted or not view.run.is_open):
                    return view
                await asyncio.sleep(FIRST_ANSWER_EVERY_SECONDS)
    return None


async def _newest(client: Client, run: Run) -> Run | None:
    """Read the run, or the one that it continues as."""
    now = await describe(client, run.id, run.run_id)
    return await describe(client, run.id) if now and now.continues_as_new else now


async def _try_read(client: Client, run: Run, catalog: Path | None) -> RunView | None:
    try:
        now = await _newest(client, run)
        return await look(client, now or run, catalog)
    except RPCError as error:
        if is_unreachable(error):
            return None
        raise
