"""Brakes as people see and move them; there is one for each environment, and none where nothing ever asked for it."""

from __future__ import annotations

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.runs import OPEN
from runbook_model import ids
from runbook_model.brakes import BrakeReport, BrakeRequest
from starter.client.connect import RPC_TIMEOUT
from starter.client.run_view import ANSWER_TIMEOUT
from starter.client.runs import Run, describe, find

LIMIT = 1000


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
