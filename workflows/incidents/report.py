"""An incident as people and programs see it: the answer to ``status``, and the result at the end."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from runbook_model.catalog.target import trace_link
from runbook_model.incident.account import Account, Remediation
from runbook_model.incident.alert_book import KeptAlert
from runbook_model.messages import Message
from runbook_model.reports import Report, State, Step
from workflows.decisions.announcing import ask, current_action, impact, title
from workflows.decisions.calling import is_taken, next_call, next_contact, respond_by

ALERTS_SHOWN = 50


class AlertSeen(Message):
    """One alert of the incident."""

    name: str
    status: str
    severity: str
    procedure: str | None
    since: datetime
    words: str = ""
    fingerprint: str


class ProcedureSeen(Message):
    """One procedure that ran, or runs, for the incident."""

    id: str
    run_id: str
    procedure: str
    why: str
    began: datetime
    ended: datetime | None = None
    state: State
    outcome: str | None = None
    summary: str
    heading: str = ""


class IncidentReport(Report):
    """An incident's page as it stands."""

    title: str = ""
    severity: str = "unknown"
    status: str = "investigating"
    impact: str | None = None
    root_cause: str | None = None
    eta: str | None = None
    alerts: tuple[AlertSeen, ...] = ()
    """Those that fire first; of very many only the first."""
    firing: int = 0
    resolved: int = 0
    procedures: tuple[ProcedureSeen, ...] = ()
    acknowledged_by: str | None = None
    respond_by: datetime | None = None
    next_call: datetime | None = None
    """When the next contact is called, unless somebody acknowledges."""
    calls_next: str | None = None
    called: tuple[str, ...] = ()
    closings: int = 0
    """How often it was closed: the ``sequence`` of the next signed close."""
    held: str | None = None
    """Why nothing is started automatically."""
    announced: int = 0
    undelivered: dict[str, str] = Field(default_factory=dict)
    """Channels that did not get every message, and why."""


def report(account: Account, now: datetime) -> IncidentReport:
    """Say how an incident stands."""
    del now
    gate = account.under_way.gate if account.under_way else None
    waiting = next_call(account)
    contact = next_contact(account)
    last = account.last
    kept = account.alerts.newest_first
    return IncidentReport(
        procedure="incident",
        service=account.service,
        environment=account.environment,
        requested_by=account.opened_by,
        trace_id=account.trace_id,
        trace=trace_link(account.policy.links, account.trace_id) if account.policy else None,
        state=state_of(account),
        outcome=account.ending.outcome if account.ending else None,
        summary=summary(account),
        error=account.ending.error if account.ending else None,
        verdict=last.report.verdict if last and last.report else None,
        checkpoint=gate,
        plan=gate.plan if gate else None,
        plan_hash=gate.plan_hash if gate else None,
        steps=tuple(_steps(account)),
        findings=account.findings,
        tasks=(
            *(
                task
                for remediation in account.remediations
                if remediation.report
                for task in remediation.report.tasks
            ),
            *account.tasks,
        ),
        changes=account.changes,
        decisions=account.decisions,
        rejected=account.rejected,
        title=title(account),
        severity=account.severity,
        status=account.status,
        impact=impact(account),
        root_cause=account.root_cause,
        eta=account.eta,
        alerts=tuple(_alert(alert) for alert in kept[:ALERTS_SHOWN]),
        firing=len(account.alerts.firing),
        resolved=len(kept) - len(account.alerts.firing),
        procedures=tuple(_procedure(remediation) for remediation in account.remediations),
        acknowledged_by=account.acknowledged.by if account.acknowledged and is_taken(account) else None,
        respond_by=respond_by(account) if account.alerts.firing else None,
        next_call=waiting,
        calls_next=contact.name if waiting and contact else None,
        called=tuple(call.contact or "everybody" for call in account.calls),
        resumed=account.resumed,
        closings=account.closings,
        held=account.held.why if account.held else None,
        announced=account.number,
        undelivered={
            name: outbox.trouble or f"{len(outbox.waiting)} not sent yet"
            for name, outbox in account.outbox.items()
            if outbox.waiting or outbox.lost
        },
    )


def state_of(account: Account) -> State:
    """Say what lists are filtered by."""
    if account.under_way and account.under_way.gate:
        return State.AWAITING_APPROVAL
    if account.paused_by:
        return State.PAUSED
    return State.RUNNING


def summary(account: Account) -> str:
    """Say in one sentence where the incident stands, and what a person must do."""
    if account.ending:
        return account.ending.summary
    return ask(account) or f"{title(account)}; {current_action(account)}."


def _steps(account: Account) -> list[Step]:
    """Show the procedures as steps: the page of each is its own."""
    return [
        Step(
            heading="Procedures",
            step=f"{remediation.procedure} ({remediation.why})",
            state=_step_state(remediation),
            started=remediation.began,
            ended=remediation.ended,
            detail=f"{remediation.outcome}: {remediation.summary}"
            if remediation.ended
            else _now(remediation),
        )
        for remediation in account.remediations
    ]


def _step_state(remediation: Remediation) -> Literal["running", "done", "failed"]:
    if remediation.ended is None:
        return "running"
    return "done" if remediation.ended_well else "failed"


def _now(remediation: Remediation) -> str | None:
    return remediation.report.summary if remediation.report else None


def _alert(alert: KeptAlert) -> AlertSeen:
    return AlertSeen(
        name=alert.name,
        status=alert.status,
        severity=alert.severity,
        procedure=alert.procedure,
        since=alert.since,
        words=alert.words,
        fingerprint=alert.fingerprint,
    )


def _procedure(remediation: Remediation) -> ProcedureSeen:
    report = remediation.report
    return ProcedureSeen(
        id=remediation.id,
        run_id=remediation.run_id,
        procedure=remediation.procedure,
        why=remediation.why,
        began=remediation.began,
        ended=remediation.ended,
        state=State.DONE if remediation.ended else report.state if report else State.RUNNING,
        outcome=remediation.outcome,
        summary=remediation.summary if remediation.ended else report.summary if report else "It was started.",
        heading=report.heading if report else "",
    )
