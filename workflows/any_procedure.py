"""A procedure that this worker does not have: refused with the reason, instead of holding its target's lock for ever."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.catalog.activities import ProcedureActivities, Wanted
from runbook_model.messages import ProcedureRequest
from runbook_model.names.ids import is_procedure
from runbook_model.names.procedures import procedure_of
from runbook_model.reports import Ending, Report
from workflows.decisions.rollback.releases import refuse
from workflows.page.page import Page
from workflows.page.procedure import ProcedureWorkflow


@workflow.defn(dynamic=True)
class AnyProcedure(ProcedureWorkflow):
    """Refuse a procedure that no package of this worker brings, or whose package is broken."""

    def __init__(self) -> None:
        self.page = Page(procedure_of(workflow.info().workflow_type))

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Report:
        """Refuse it; what is no procedure waits for a worker that knows it, as its task fails."""
        if not is_procedure(workflow.info().workflow_id):
            raise NotImplementedError(f"no workflow {workflow.info().workflow_type} on this worker")
        if len(args) != 1:
            message = f"started with {len(args)} arguments: it takes one, its request"
            raise ApplicationError(message, type="InputError", non_retryable=True)
        request = workflow.payload_converter().from_payload(args[0].payload, ProcedureRequest)
        return await self.page.run(request, self._procedure)

    async def _procedure(self) -> Ending:
        self.page.heading("Look the procedure up")
        words, wanted = "Ask the worker why it does not have it", Wanted(procedure=self.page.report.procedure)
        return refuse(await self.page.read(words, ProcedureActivities.explain_unknown, wanted))
