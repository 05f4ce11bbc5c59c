"""The account of an incident: its request, and everything that its next run must know when this one gets too long."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from runbook_model.bounds import cut_text
from runbook_model.brakes import Block
from runbook_model.catalog.incident_policy import IncidentPolicy
from runbook_model.incident.alert_book import AlertBook
from runbook_model.incident.announcements import Announcement
from runbook_model.messages import Given, Message
from runbook_model.reports import (
    DECISION_LONGEST,
    Change,
    Checkpoint,
    Decision,
    Ending,
    Outcome,
    Rejection,
    Report,
    Task,
    keep_decision,
    keep_rejection,
)

REMEDIATIONS_KEPT = 20
OBSERVATIONS_KEPT = 10
ENDED_WELL = frozenset({Outcome.RECOVERED, Outcome.NOT_NEEDED})


class Remediation(Message):
    """One procedure that ran, or runs, for the incident."""

    id: str
    run_id: str
    procedure: str
    why: str
    """Who or what asked for it."""
    ours: bool
    """Whether the incident started it; one that it found running is never stopped by it."""
    reservation: str | None = None
    """Its place in the brake's book; None where nobody had to ask the brake."""
    began: datetime
    ended: datetime | None = None
    report: Report | None = None
    """What it last reported, without what only its own page needs."""
    stopping: bool = False
    """Whether the incident ordered it to stop, for something more severe."""

    @property
    def gate(self) -> Checkpoint | None:
        """The checkpoint that it stands at."""
        return self.report.checkpoint if self.report and not self.ended else None

    @property
    def changes(self) -> tuple[Change, ...]:
        """What it changed, or may have changed."""
        return self.report.changes if self.report else ()

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; one that could not say it failed."""
        if self.ended is None:
            return None
        return (self.report.outcome if self.report else None) or Outcome.FAILED

    @property
    def ended_well(self) -> bool:
        """Whether nothing is left to do for a person."""
        return self.outcome in ENDED_WELL

    @property
    def gave_way(self) -> bool:
        """Whether the incident stopped it before it had changed anything."""
        return self.stopping and self.outcome is Outcome.ABORTED and not self.changes

    @property
    def summary(self) -> str:
        """How it ended, as a sentence."""
        return self.report.summary if self.report else "It ended without saying how. A person must check now."


class Call(Message):
    """Somebody was called."""

    contact: str | None
    at: datetime
    rank: int
    """How severe it was then."""
    reached: bool = True
    """Whether the contact's channel took it, as far as is known; where it did not, the next one is called at once."""


class Acknowledgement(Message):
    """A person has the incident."""

    by: str
    at: datetime
    rank: int
    """How severe it was then; what is worse calls again."""


class Closed(Message):
    """A person said that it is over."""

    by: str
    root_cause: str
    at: datetime


class Outbox(BaseModel):
    """What one channel has still to be reported, in order."""

    waiting: list[Announcement] = Field(default_factory=list)
    thread: str | None = None
    sent: int = 0
    lost: int = 0
    """How many it will never be reported: it refused them, or there were newer ones."""
    trouble: str | None = None


class Account(BaseModel):
    """What is known of an incident, and what was done about it."""

    service: str
    environment: str
    first_run: str
    opened: datetime
    opened_by: str
    wanted: str | None = None
    """The procedure that a person asked for; None once it was started."""
    trace_id: str | None = None

    alerts: AlertBook = Field(default_factory=AlertBook)
    policy: IncidentPolicy | None = None
    policy_at: datetime | None = None

    impact: str | None = None
    root_cause: str | None = None
    eta: str | None = None
    observations: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    """What is left to people next to the tasks of procedures."""
    acknowledged: Acknowledgement | None = None
    paused_by: str | None = None
    stopped_by: str | None = None
    """Who ordered that nothing more is started automatically."""
    closed: Closed | None = None

    remediations: tuple[Remediation, ...] = ()
    """Oldest first; the last may be under way."""
    forgotten: int = 0
    """How many older ones are only in history."""
    starts: int = 0
    """How many the incident started."""
    held: Block | None = None

    calls: tuple[Call, ...] = ()
    number: int = 0
    """How many announcements were made."""
    announced: datetime | None = None
    """When the last one was made."""
    gist: str | None = None
    """What the last one was about."""
    outbox: dict[str, Outbox] = Field(default_factory=dict)
    ending: Ending | None = None
    """How it is about to end, once people were notified."""
    ending_since: datetime | None = None

    resumed: int = 0
    """How often it was resumed."""
    closings: int = 0
    """How often it was closed: alerts may open it again."""
    decisions: tuple[Decision, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    seen: tuple[str, ...] = ()
    """Ids of decisions that were taken."""

    @classmethod
    def open(cls, request: IncidentRequest, run_id: str, now: datetime) -> Account:
        """Open the account of a new incident."""
        return cls(
            service=request.service,
            environment=request.environment,
            first_run=run_id,
            opened=now,
            opened_by=request.opened_by,
            impact=request.impact,
            wanted=request.procedure,
            trace_id=request.trace_id,
        )

    @property
    def under_way(self) -> Remediation | None:
        """The procedure that runs now."""
        return self.last if self.last and self.last.ended is None else None

    @property
    def last(self) -> Remediation | None:
        """The procedure that runs or ran last."""
        return self.remediations[-1] if self.remediations else None

    @property
    def handed_over(self) -> bool:
        """Whether the last procedure left something to a person."""
        return bool((last := self.last) and last.ended and not (last.ended_well or last.gave_way))

    @property
    def changes(self) -> tuple[Change, ...]:
        """Everything that was changed, or may have been."""
        return tuple(change for remediation in self.remediations for change in remediation.changes)

    @property
    def findings(self) -> tuple[str, ...]:
        """What the diagnoses found."""
        return tuple(
            finding
            for remediation in self.remediations
            if remediation.report
            for finding in remediation.report.findings
        )

    @property
    def rank(self) -> int | None:
        """How severe the worst alert is that fires, 0 being worst; None when nothing fires."""
        return min((alert.rank for alert in self.alerts.firing), default=None)

    @property
    def rank_now(self) -> int:
        """The same as it is kept, to be compared later: an incident in which nothing fires is the least severe."""
        return 99 if self.rank is None else self.rank

    @property
    def severity(self) -> str:
        """The worst alert's severity, of those that fire or else of those that did."""
        alerts = self.alerts.firing or list(self.alerts.kept.values())
        return min(alerts, key=lambda alert: alert.order).severity if alerts else "unknown"

    @property
    def status(self) -> Literal["investigating", "identified", "mitigating", "resolved"]:
        """How far it is, in the words of the page's messages."""
        if self.ending:
            return "resolved"
        if self.changes:
            return "mitigating"
        return "identified" if self.findings or self.root_cause else "investigating"

    def begin(self, remediation: Remediation) -> None:
        """Note a procedure that was started or found."""
        every = (*self.remediations, remediation)
        self.remediations = every[-REMEDIATIONS_KEPT:]
        self.forgotten += len(every) - len(self.remediations)
        self.held = None

    def learn(self, remediation: Remediation) -> None:
        """Replace what is known of a procedure."""
        self.remediations = tuple(
            remediation if item.run_id == remediation.run_id else item for item in self.remediations
        )

    def observe(self, text: str) -> None:
        """Keep what a person saw; the newest are kept."""
        self.observations = (*self.observations, text)[-OBSERVATIONS_KEPT:]

    def leave(self, task: Task) -> None:
        """Leave something to people; the newest are kept."""
        self.tasks = (*self.tasks, task)[-OBSERVATIONS_KEPT:]

    def decided(self, kind: str, by: str, at: datetime, detail: str) -> None:
        """Note what somebody decided; the newest are kept."""
        decision = Decision(kind=kind, by=by, at=at, detail=cut_text(detail, DECISION_LONGEST))
        self.decisions = keep_decision(self.decisions, decision)

    def keep_rejected(self, rejection: Rejection) -> None:
        """Keep what could not be used; the newest are kept."""
        self.rejected = keep_rejection(self.rejected, rejection)


ALERTMANAGER = "alerts"
"""Who opened an incident that no person opened."""


class IncidentRequest(Message):
    """Open an incident of a target; alerts reach it by signal."""

    service: str
    environment: str
    opened_by: Given = ALERTMANAGER
    """Who found it: a person, or the alerts."""
    impact: Given | None = None
    """What users notice, as a person said it."""
    procedure: str | None = None
    """What a person wants to be run; without it the alert matrix chooses, once there are alerts."""
    trace_id: str | None = None
    so_far: Account | None = None
    """What the run before this one knew: an incident that gets long continues as a new run."""
