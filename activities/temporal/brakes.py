"""The brake of an environment: it is asked before anything is started automatically, and again before each change."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal.runs import PATIENCE, describe, is_open
from runbook_model.brakes import BrakeAnswer, BrakeBook, BrakeReport, BrakeRequest, Question, Reservation
from runbook_model.errors import NotYetError
from runbook_model.names.ids import brake_id, remediation_id

LOOK_EVERY = timedelta(seconds=10)


class BrakeActivities:
    """Asks brakes; where there is none, nothing holds."""

    def __init__(self, client: Client, look_every: timedelta = LOOK_EVERY) -> None:
        self._client = client
        self._look_every = look_every

    @activity.defn
    async def reserve(self, wanted: Reservation) -> BrakeAnswer:
        """Ask whether a procedure may be started automatically, and have it counted."""
        answer = await self._reserve(wanted)
        if answer.held and answer.held.kind == "storm" and await self._forget_what_is_over(wanted):
            return await self._reserve(wanted)
        return answer

    @activity.defn
    async def read_brake(self, question: Question) -> BrakeAnswer:
        """Ask whether a person's brake holds a change."""
        return BrakeAnswer(held=(await self.book(question.environment)).holds(question.service))

    @activity.defn
    async def await_brake(self, question: Question) -> BrakeAnswer:
        """Return once no person's brake holds a target; between two looks nothing is under way."""
        held = (await self.book(question.environment)).holds(question.service)
        if held:
            raise NotYetError(held.why, self._look_every)
        return BrakeAnswer()

    async def _reserve(self, wanted: Reservation) -> BrakeAnswer:
        try:
            return await self._ask(wanted)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        await self._client.start_workflow(
            "Brake",
            BrakeRequest(environment=wanted.environment),
            id=brake_id(wanted.environment),
            task_queue=activity.info().task_queue,
            static_summary=f"The brake of {wanted.environment}",
        )
        return await self._ask(wanted)

    async def _ask(self, wanted: Reservation) -> BrakeAnswer:
        answer: BrakeAnswer = await self._handle(wanted.environment).execute_update(
            "reserve", wanted, result_type=BrakeAnswer, rpc_timeout=PATIENCE
        )
        return answer

    async def _forget_what_is_over(self, wanted: Reservation) -> bool:
        """Tell the brake of procedures that ended without its knowing, as a killed one does."""
        under_way = [start for start in (await self.book(wanted.environment)).starts if start.ended is None]
        over = [item for item in under_way if not await self._runs(wanted.environment, item.service)]
        for item in over:
            await self._handle(wanted.environment).signal("finished", item.key)
        return bool(over)

    async def _runs(self, environment: str, service: str) -> bool:
        found = await describe(self._client, remediation_id(environment, service), None, PATIENCE)
        return found is not None and is_open(found.workflow_execution_info.status)

    async def book(self, environment: str) -> BrakeBook:
        """Read what a brake knows; where there is none, nothing."""
        try:
            report: BrakeReport = await self._handle(environment).query(
                "status", result_type=BrakeReport, rpc_timeout=PATIENCE
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return BrakeBook()
            raise
        return report.book

    def _handle(self, environment: str) -> WorkflowHandle[object, object]:
        return self._client.get_workflow_handle(brake_id(environment))
