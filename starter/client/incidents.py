"""Opens incidents: by alerts, which join the one that is open, and by people, who open a new one."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import (
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from runbook_model.incident.account import IncidentRequest
from runbook_model.incident.messages import ALERTS, AlertBatch
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from starter.client.connect import RPC_TIMEOUT
from starter.client.runs import describe
from workflows.page.options import TASK_TIMEOUT, search_attributes


async def report_alerts(
    client: Client, service: str, environment: str, batch: AlertBatch, *, trace_id: str | None = None
) -> None:
    """Hand alerts to their target's incident, opening it if there is none.

    Once this returns Temporal has them; a repeat is harmless. What belongs to no target is reported to
    ``ids.UNROUTED``, whose queue every worker serves.

    Raises:
        RPCError: Temporal does not answer or does not take it; try again.
    """
    request = IncidentRequest(service=service, environment=environment, trace_id=trace_id)
    await open_incident(client, request, batch)


async def open_incident(client: Client, request: IncidentRequest, batch: AlertBatch | None = None) -> str:
    """Open the incident that a person found, or that alerts are for, which join one that is open; returns its run id.

    Raises:
        WorkflowAlreadyStartedError: a person opens it, and one is open already.
        RPCError: Temporal does not answer or does not take it.
    """
    asked = ProcedureRequest(
        service=request.service,
        environment=request.environment,
        requested_by=request.opened_by,
        reason=request.impact,
        trace_id=request.trace_id,
    )
    handle = await client.start_workflow(
        "Incident",
        request,
        id=ids.incident_id(request.environment, request.service),
        task_queue=ids.task_queue(request.environment),
        task_timeout=TASK_TIMEOUT,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.UNSPECIFIED if batch else WorkflowIDConflictPolicy.FAIL,
        start_signal=ALERTS if batch else None,
        start_signal_args=[batch] if batch else [],
        memo={"request": asked},
        search_attributes=search_attributes("incident", asked),
        static_summary=f"Incident of {request.service} in {request.environment}",
        rpc_timeout=RPC_TIMEOUT,
    )
    return handle.first_execution_run_id or ""


async def of_incident(client: Client, request: ProcedureRequest) -> ProcedureRequest:
    """Let a procedure that a person starts belong to the target's incident, if one is open."""
    workflow_id = ids.incident_id(request.environment, request.service)
    incident = await describe(client, workflow_id)
    return request.model_copy(update={"incident": workflow_id}) if incident and incident.is_open else request
