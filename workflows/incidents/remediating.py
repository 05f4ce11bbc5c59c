"""The procedure of an incident: started, joined where one runs already, and followed to its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

from activities.temporal.remediations import Known, RemediationActivities, RemediationSeen
from runbook_model.bounds import ENDED_BYTES
from runbook_model.incident.account import Account, Remediation
from runbook_model.incident.messages import JOINED, Joined, ProcedureProgress, slim
from runbook_model.messages import Abort, ProcedureRequest, RollbackRequest
from runbook_model.names import ids
from runbook_model.names.procedures import procedure_of, workflow_type
from runbook_model.reports import Report
from workflows.decisions.incidents import Begin, Stop, next_move
from workflows.incidents.brake import IncidentBrake, unreachable
from workflows.page.options import BEST_EFFORT, LOOK, TASK_TIMEOUT, Background, search_attributes

MOST_WAITING = 50


class Remediating:
    """Starts procedures and learns how they go: from the child itself, from what they tell, and by looking."""

    def __init__(self, account: Account, stir: Callable[[], None]) -> None:
        self._account = account
        self._stir = stir
        self._background = Background()
        self._brake = IncidentBrake(account, self._background, stir)
        self._watch: asyncio.Task[None] | None = None
        self._beginning = False
        self._waiting: deque[tuple[str, object]] = deque(maxlen=MOST_WAITING)
        """What people sent while none was under way: the one that is just being started gets it."""
        self._early: dict[str, Report] = {}
        """What a procedure reported before its start was known here."""

    async def begin(self, move: Begin) -> None:
        """Start a procedure, if the brake lets it and nothing else came up meanwhile; join the one that runs already."""
        key = f"{self._account.first_run}/{self._account.starts + 1}" if move.automatic else None
        if key:
            self._account.held = await self._brake.reserve(move, key)
            if self._account.held:
                return
            if next_move(self._account, workflow.now()) != move:
                self._brake.not_started(key)
                return
        try:
            self._beginning = True
            self._waiting.clear()
            child = await self._start(move)
        except WorkflowAlreadyStartedError:
            self._beginning = False
            await self._join()
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            self._account.held = unreachable(f"it could not be started: {error}")
        else:
            self._began(move, child, key)
            return
        finally:
            self._beginning = False
            self._pass_on_what_waited()
        if key:
            self._brake.not_started(key)

    async def stop(self, move: Stop) -> None:
        """Stop the procedure under way, which has nothing half done: it stands at a checkpoint."""
        order = Abort(by=self._incident, reason=move.why, keep=True)
        self._account.learn(move.remediation.model_copy(update={"stopping": True}))
        self._account.decided("stop", "the runbook", workflow.now(), move.why)
        self.pass_on("abort", order)

    def pass_on(self, signal: str, message: object) -> None:
        """Send something to the procedure under way; one that is just being started gets it once it is there."""
        if running := self._account.under_way:
            handle = workflow.get_external_workflow_handle(running.id, run_id=running.run_id)
            self._background.send(handle.signal(signal, message))
        else:
            self._waiting.append((signal, message))

    @property
    def is_sending(self) -> bool:
        """Whether something is on its way to somebody: Temporal drops what a run sent that is over before it arrived."""
        return self._beginning or self._background.is_sending

    def on_progress(self, text: ProcedureProgress) -> None:
        """Take the progress report of a procedure; an unknown one is joined."""
        known = self._known(text.run_id)
        if known is None and self._beginning:
            self._early[text.run_id] = slim(text.report)
        elif known is None and self._account.under_way is None and text.id == self._id:
            known = self._found(text.id, text.run_id, text.report.procedure, text.report.requested_by)
        if known and known.ended is None:
            self._account.learn(known.model_copy(update={"report": slim(text.report)}))

    def on_end(self, text: ProcedureProgress) -> None:
        """Learn that a procedure ended."""
        self.on_progress(text)
        self._ended(text.run_id, text.report)

    def keep_watch(self) -> None:
        """Look for what nobody tells: that the procedure under way was killed, or that a person started one.

        A look that was started on what is known no more sees the change by itself, and the next one knows of it.
        """
        if self._watch is None or self._watch.done():
            last = self._account.last
            looking = self._look(last.run_id, last.ended is not None) if last else self._look(None, True)  # noqa: FBT003
            self._watch = self._background.run(looking)
        self._brake.keep_watch()

    async def rest(self) -> None:
        """Look no more, and wait until that is so: an end in the same moment would be refused for ever."""
        looking = [task for task in (self._watch, self._brake.waiting) if task and not task.done()]
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    async def _start(self, move: Begin) -> workflow.ChildWorkflowHandle[Any, Report]:
        request = self._request(move)
        return await workflow.start_child_workflow(
            workflow_type(move.procedure),
            request,
            id=self._id,
            result_type=Report,
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            task_timeout=TASK_TIMEOUT,
            memo={"request": request},
            search_attributes=search_attributes(move.procedure, request),
            static_summary=f"{move.procedure} of {request.service} in {request.environment}",
        )

    def _request(self, move: Begin) -> ProcedureRequest:
        firing = self._account.alerts.firing
        words = next((alert.words for alert in firing if alert.name == move.alert), "")
        kind = RollbackRequest if move.procedure == "rollback" else ProcedureRequest
        return kind(
            service=self._account.service,
            environment=self._account.environment,
            requested_by=move.asked_by,
            reason=words or self._account.impact,
            trace_id=self._account.trace_id,
            incident=self._incident,
            automatic=move.automatic,
        )

    def _began(self, move: Begin, child: workflow.ChildWorkflowHandle[Any, Report], key: str | None) -> None:
        run_id = child.first_execution_run_id or ""
        self._account.wanted = None
        self._account.starts += 1
        self._account.begin(
            Remediation(
                id=self._id,
                run_id=run_id,
                procedure=move.procedure,
                why=move.asked_by,
                ours=True,
                reservation=key,
                began=workflow.now(),
                report=self._early.pop(run_id, None),
            )
        )
        self._early.clear()
        self._background.run(self._await_end(child, run_id))

    async def _await_end(self, child: workflow.ChildWorkflowHandle[Any, Report], run_id: str) -> None:
        report: Report | None = None
        with suppress(FailureError):
            report = await child
        self._ended(run_id, report)
        self._stir()

    async def _join(self) -> None:
        """Join what runs already; it is never stopped by the incident, and gets its progress reports from now on."""
        known = Known(environment=self._account.environment, service=self._account.service)
        words = "Check which procedure already runs"
        try:
            seen = await workflow.execute_activity_method(
                RemediationActivities.find_remediation, known, summary=words, **BEST_EFFORT
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            seen = None
        if seen:
            self._saw(seen)
        else:  # it ended this very moment, or nobody could tell
            self._account.held = unreachable("another procedure held the target until now")

    async def _look(self, run_id: str | None, ended: bool) -> None:  # noqa: FBT001 - as the activity has it
        known = Known(
            environment=self._account.environment, service=self._account.service, run_id=run_id, ended=ended
        )
        words = (
            "Check whether something runs on the target" if ended else "Check whether the procedure continues"
        )
        try:
            seen = await workflow.execute_activity_method(
                RemediationActivities.await_remediation, known, summary=words, **LOOK
            )
        except FailureError:
            return
        self._saw(seen)
        self._stir()

    def _saw(self, seen: RemediationSeen) -> None:
        """Take in what a look found."""
        report = _report(seen)
        known = self._known(seen.run_id)
        if known is None and self._account.under_way is None and not self._beginning:
            procedure = procedure_of(seen.workflow_type)
            self._found(seen.id, seen.run_id, procedure, report.requested_by if report else "unknown")
            self._ask_for_progress(seen)
        elif known is None:
            return
        if seen.ended:
            self._ended(seen.run_id, report)
        elif report and (now_known := self._known(seen.run_id)):
            self._account.learn(now_known.model_copy(update={"report": slim(report)}))

    def _found(self, workflow_id: str, run_id: str, procedure: str, by: str) -> Remediation:
        found = Remediation(
            id=workflow_id, run_id=run_id, procedure=procedure, why=by, ours=False, began=workflow.now()
        )
        self._account.begin(found)
        self._account.decided("join", "the runbook", workflow.now(), f"{procedure}, started by {by}")
        return found

    def _ask_for_progress(self, seen: RemediationSeen) -> None:
        handle = workflow.get_external_workflow_handle(seen.id, run_id=seen.run_id)
        self._background.send(handle.signal(JOINED, Joined(incident=self._incident)))

    def _ended(self, run_id: str, report: Report | None) -> None:
        """Note an end, once: whoever reports it first."""
        known = self._known(run_id)
        if known is None or known.ended:
            return
        last = report or known.report
        last_report = slim(last, ENDED_BYTES) if last else None
        if report is None and last_report:
            summary = f"It was cut off. {last_report.summary} A person must check now."
            last_report = last_report.model_copy(
                update={"summary": summary, "checkpoint": None, "outcome": None}
            )
        self._account.learn(known.model_copy(update={"report": last_report, "ended": workflow.now()}))
        if known.reservation:
            self._brake.finished(known.reservation)

    def _pass_on_what_waited(self) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for signal, message in waiting:
            self.pass_on(signal, message)

    def _known(self, run_id: str) -> Remediation | None:
        return next(
            (remediation for remediation in self._account.remediations if remediation.run_id == run_id), None
        )

    @property
    def _id(self) -> str:
        return ids.remediation_id(self._account.environment, self._account.service)

    @property
    def _incident(self) -> str:
        return ids.incident_id(self._account.environment, self._account.service)


def _report(seen: RemediationSeen) -> Report | None:
    if seen.page is None:
        return None
    try:
        return Report.model_validate(seen.page)
    except ValidationError:
        return None
