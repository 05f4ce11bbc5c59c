"""Another procedure that a page runs as its child, under the page's lock."""

from __future__ import annotations

import asyncio

from temporalio import workflow

from runbook_model.messages import Instruction, ProcedureRequest
from runbook_model.names.procedures import workflow_type
from runbook_model.reports import Report
from workflows.page.deciding.child_relay import ChildRelay
from workflows.page.deciding.procedure_orders import ProcedureOrders
from workflows.page.options import TASK_TIMEOUT
from workflows.page.telling.record import Record


async def run_child(
    words: str,
    procedure: str,
    request: ProcedureRequest,
    record: Record,
    relay: ChildRelay,
    orders: ProcedureOrders,
) -> Report:
    """Start another procedure and wait for its report; an abort is passed on to it, and waited for too."""
    place = record.begin_step(words)
    child = await workflow.start_child_workflow(
        workflow_type(procedure),
        request,
        id=f"{workflow.info().workflow_id}/{procedure}",
        result_type=Report,
        static_summary=words,
        task_timeout=TASK_TIMEOUT,
        # A parent that is terminated must not leave a remediation running next to the next one.
        parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
    )
    relay.adopt(child)
    if orders.paused_by:  # before it was known to have started
        relay.pass_on("parent_paused", Instruction(by=orders.paused_by))
    try:
        report: Report = await asyncio.shield(child)
    except asyncio.CancelledError:
        if orders.abort:
            await child.signal("abort", orders.abort.model_copy(update={"from_parent": True}))
        aborted = await child
        record.adopt(aborted)
        record.end_step(place, "cancelled", aborted.summary)
        raise
    finally:
        relay.adopt(None)
    record.adopt(report)
    record.end_step(place, "done", f"{report.outcome}: {report.summary}")
    return report
