"""What a review holds. Everything in it cites the event of a history that it was read from."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Literal

from runbook_model.fact import Fact

Class = Literal["immediate", "long-term", "monitoring", "documentation"]


class Cite(Fact):
    """One event of one history."""

    workflow: str
    run: str
    event: int


class Moment(Fact):
    """When something was so, and how that is known."""

    at: datetime
    what: str
    cite: Cite


class Line(Fact):
    """One line of the timeline."""

    at: datetime
    text: str
    cite: Cite


class Wait(Fact):
    """A time in which the work stood still until a person said something."""

    what: str
    opened: datetime
    closed: datetime | None = None
    answer: str = ""
    """Who answered; or that nobody did."""
    cite: Cite
    until: Cite | None = None

    @property
    def lasted(self) -> timedelta | None:
        """How long; None while it lasts."""
        return self.closed - self.opened if self.closed else None


class Shares(Fact):
    """Where the time went; the three make up the whole."""

    whole: timedelta
    people: timedelta
    """A checkpoint or a pause waited for a person."""
    machine: timedelta
    """A procedure worked."""
    neither: timedelta
    """Nothing was under way: alerts had still to be resolved, or a person worked by hand."""


class ReadingLine(Fact):
    """One measurement, as it was read."""

    at: datetime
    what: str
    """``error-rate``, ``health`` … or the name of a diagnosis's figure."""
    quality: str
    """``good``, ``bad``, ``known``; ``no-data`` and ``error`` where nothing is known."""
    detail: str
    source: str
    query: str | None = None
    step: str
    """The step that read it."""
    cite: Cite


class DecisionLine(Fact):
    """What was decided, by whom, on what evidence."""

    at: datetime
    by: str
    what: str
    evidence: tuple[str, ...] = ()
    cite: Cite


class ChangeLine(Fact):
    """One change that was made, or may have been."""

    at: datetime
    action: str
    before: str
    after: str
    state: str
    """``made``, ``may have been made``, ``undone`` …"""
    made: datetime | None = None
    undo_failed: bool = False
    cite: Cite


class MessageLine(Fact):
    """One message to people."""

    at: datetime
    kind: str
    channel: str
    mark: str
    result: str
    """Where it went, or why it did not."""
    cite: Cite


class TroubleLine(Fact):
    """Something that had to be tried again, or failed."""

    at: datetime
    what: str
    attempts: int
    why: str
    cite: Cite


Dated = Moment | Line | ReadingLine | DecisionLine | ChangeLine | MessageLine | TroubleLine


def order_of(line: Dated) -> tuple[datetime, str, int]:
    """Return what lines are sorted by: when they were, and then where that stands."""
    return line.at, line.cite.workflow, line.cite.event


class ActionItem(Fact):
    """Something that is left to do, or was done by hand."""

    kind: Class
    what: str
    why: str = ""
    state: str = "open"
    cite: Cite


class RootCause(Fact):
    """What is thought to be the cause; a review confirms it."""

    text: str
    said_by: str
    diagnosed: bool = False
    """A procedure found it; no person has confirmed it."""
    cite: Cite


class Source(Fact):
    """One history that the review was written from."""

    workflow: str
    run: str
    kind: str
    """The workflow's type."""
    events: int


class Review(Fact):
    """A post-incident review."""

    subject: str
    """Id of the incident's, or the procedure's, workflow."""
    service: str
    environment: str
    procedures: tuple[str, ...] = ()
    opened_by: str
    reason: str | None = None
    severity: str
    impact: str
    outcome: str | None = None
    """None while it is open: then this is a draft."""
    summary: str
    owner: str
    due: date | None = None
    trace_id: str | None = None
    trace: str | None = None
    """Where the trace is seen."""

    started: Moment | None = None
    """The first sign of trouble."""
    detected: Moment
    acknowledged: Moment | None = None
    """A person had it."""
    taken_up: Moment | None = None
    """A procedure was on it."""
    mitigated: Moment | None = None
    """From here on every reading was good."""
    resolved: Moment | None = None
    ended: Moment | None = None
    shares: Shares

    timeline: tuple[Line, ...]
    longest: tuple[Line, ...] = ()
    """The steps that took longest."""
    waits: tuple[Wait, ...] = ()
    readings: tuple[ReadingLine, ...] = ()
    decisions: tuple[DecisionLine, ...] = ()
    changes: tuple[ChangeLine, ...] = ()
    messages: tuple[MessageLine, ...] = ()
    troubles: tuple[TroubleLine, ...] = ()
    rejected: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    """What monitoring did not catch, or could not see."""
    root_cause: RootCause | None = None
    items: tuple[ActionItem, ...] = ()
    sources: tuple[Source, ...]
    lost: tuple[str, ...] = ()
    """Histories that belong to it and could not be read any more."""

    def to_json(self) -> str:
        """Return it as JSON, for programs."""
        return self.model_dump_json(indent=2) + "\n"


class ReviewRequest(Fact):
    """Write the review of an incident that is about to end; nothing after this request is in it."""

    workflow_id: str
    run_id: str
    outcome: str
    """How it is about to end."""
    summary: str


class Written(Fact):
    """Where a review was written to."""

    detail: str
    places: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What a person reads of it."""
        return self.detail
