"""Has workers drill, and keeps the schedules of drills that nobody asks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
    WorkflowFailureError,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.checks import Drilled, DrillRequest
from runbook_model.names import ids
from runbook_model.text.sentences import quote
from starter.client.connect import RPC_TIMEOUT
from starter.client.runs import SOON, was_started
from starter.exits import bad_input
from workflows.decisions.endings import problem_of
from workflows.drill import Drill
from workflows.page.options import TASK_TIMEOUT

AT_MOST = timedelta(minutes=30)
"""Temporal ends a drill after this time."""
CATCH_UP = timedelta(hours=1)
"""A drill that Temporal was away for is made up for within this time; an older one says nothing of tonight."""


@dataclass(frozen=True)
class Planned:
    """The schedule of an environment's drills."""

    environment: str
    next_times: tuple[datetime, ...]
    """Empty once there is none any more."""
    was_there: bool
    """Whether there was one before."""


async def drill(client: Client, environment: str) -> Drilled | str:
    """Have a worker drill, or wait for the drill that is under way; a sentence where none was finished.

    Raises:
        RPCError: Temporal is away.
    """
    handle = await client.start_workflow(
        Drill.run,
        DrillRequest(environment=environment),
        id=ids.drill_id(environment),
        task_queue=ids.task_queue(environment),
        execution_timeout=AT_MOST,
        task_timeout=TASK_TIMEOUT,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        search_attributes=_search_attributes(environment),
        static_summary=_summary(environment),
        rpc_timeout=RPC_TIMEOUT,
    )
    result = asyncio.create_task(handle.result())
    try:
        done, _ = await asyncio.wait({result}, timeout=SOON.total_seconds())
        if not done and not await was_started(client, handle.id):
            return f"no worker runs it: runbook worker --environment {environment}; it runs once there is one"
        return await result
    except WorkflowFailureError as error:
        return f"it was not finished: {problem_of(error).line}; look at {handle.id} in the Temporal UI"
    finally:
        result.cancel()


async def schedule(client: Client, environment: str, cron: str) -> Planned:
    """Have an environment drilled from now on as a cron expression says.

    Raises:
        CliError: it is no cron expression.
        RPCError: Temporal is away.
    """
    wanted = _schedule(environment, cron)
    handle = client.get_schedule_handle(ids.drill_id(environment))
    try:
        there = False
        try:
            await client.create_schedule(handle.id, wanted, rpc_timeout=RPC_TIMEOUT)
        except ScheduleAlreadyRunningError:
            there = True
            await handle.update(lambda _: ScheduleUpdate(wanted), rpc_timeout=RPC_TIMEOUT)
        found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            raise bad_input(
                f'--schedule "{cron}": {quote(error.message)}',
                'write five cron fields in quotes, such as "0 6 * * *": every day at 06:00 UTC',
            ) from error
        raise
    return Planned(environment, tuple(found.info.next_action_times), was_there=there)


async def unschedule(client: Client, environment: str) -> Planned:
    """Have an environment drilled by hand only; one that is under way continues.

    Raises:
        RPCError: Temporal is away.
    """
    handle = client.get_schedule_handle(ids.drill_id(environment))
    try:
        await handle.delete(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return Planned(environment, (), was_there=False)
    return Planned(environment, (), was_there=True)


def _schedule(environment: str, cron: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Drill.run,
            DrillRequest(environment=environment),
            id=ids.drill_id(environment),
            task_queue=ids.task_queue(environment),
            execution_timeout=AT_MOST,
            task_timeout=TASK_TIMEOUT,
            typed_search_attributes=_search_attributes(environment),
            static_summary=_summary(environment),
        ),
        spec=ScheduleSpec(cron_expressions=[cron]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        state=ScheduleState(note=_summary(environment)),
    )


def _search_attributes(environment: str) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(ids.ENVIRONMENT, environment), SearchAttributePair(ids.PROCEDURE, "drill")]
    )


def _summary(environment: str) -> str:
    return f"Would procedures work in {environment}?"
