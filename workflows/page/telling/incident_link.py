"""The incident that a run belongs to: it hears how the run goes, and how it ended, wherever either of them is by then."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import FailureError

from runbook_model.incident.messages import (
    PROCEDURE_ENDED,
    PROCEDURE_PROGRESS,
    Joined,
    ProcedureProgress,
    slim,
)
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Report
from workflows.page.telling.record import Record


class IncidentLink:
    """Reports a run's progress and end to its incident. A run without an incident sends nothing."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._incident: str | None = None
        self._reported: object = None
        self._telling: asyncio.Task[None] | None = None
        record.listeners.append(self._report_news)

    def begin(self, request: ProcedureRequest) -> None:
        """Belong to the incident that the request names."""
        self._incident = request.incident
        self._reported = _gist(self._record.report)
        parent = workflow.info().parent
        if self._incident and (parent is None or parent.workflow_id != self._incident):
            self._reported = None  # a person started it: the incident does not know of it yet
            self._report()

    @property
    def incident(self) -> str | None:
        """The incident that the run belongs to."""
        return self._incident

    def join(self, joined: Joined) -> None:
        """Belong to the incident that found this run."""
        self._incident = joined.incident
        self._reported = None
        self._report()

    async def report_end(self) -> None:
        """Tell the incident how it ended; an incident that has ended needs no report."""
        if self._incident:
            await send_report(self._incident, PROCEDURE_ENDED, self._record.report)

    def _report_news(self, report: Report) -> None:
        if self._incident and report.outcome is None and _gist(report) != self._reported:
            self._report()

    def _report(self) -> None:
        if self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(self._keep_telling())

    async def _keep_telling(self) -> None:
        """Say what is new until nothing is; one at a time, or an older page could overtake a newer one."""
        while self._incident and self._record.report.outcome is None:
            gist = _gist(self._record.report)
            if gist == self._reported:
                return
            self._reported = gist
            await send_report(self._incident, PROCEDURE_PROGRESS, self._record.report)


def _gist(report: Report) -> object:
    gate = report.checkpoint
    asked = gate and (gate.plan_hash, gate.opened, len(gate.approvals))
    made = sum(change.certain for change in report.changes)
    return report.heading, report.state, asked, report.findings, made, report.tasks


async def send_report(incident: str, signal: str, report: Report) -> bool:
    """Tell an incident how a run stands; returns whether it hears that: one that has ended does not."""
    info = workflow.info()
    text = ProcedureProgress(id=info.workflow_id, run_id=info.run_id, report=slim(report))
    with suppress(FailureError):
        await workflow.get_external_workflow_handle(incident).signal(signal, text)
        return True
    return False
