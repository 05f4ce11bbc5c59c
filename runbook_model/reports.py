"""What a procedure tells: how it goes, what it changed, how it ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from runbook_model.bounds import keep_newest
from runbook_model.measured.evidence import Cited
from runbook_model.measured.readings import Reading
from runbook_model.messages import Approval, Message
from runbook_model.plans import Plan
from runbook_model.text.sentences import with_fix

REJECTED_KEPT = 50

DECISIONS_KEPT = 100
DECISION_LONGEST = 4000
"""Bytes of what a decision says that are kept: all of them fit into the payload of a report."""


class Outcome(StrEnum):
    """How a procedure ended."""

    RECOVERED = "recovered"
    """What was wrong was put right, and readings show it."""
    NOT_NEEDED = "not-needed"
    """What was asked for runs already."""
    PLANNED = "planned"
    """Only a plan was asked for; nothing was changed."""
    ABORTED = "aborted"
    """A person, or Temporal, stopped it; the summary says what was kept and what undone."""
    NOT_APPROVED = "not-approved"
    """Too few people agreed in time; nothing more was changed."""
    NOT_RECOVERED = "not-recovered"
    """Readings are still bad, or the change did not arrive: a person must look now."""
    INCONCLUSIVE = "inconclusive"
    """Whether it recovered is not known: a person must look now."""
    SUPERSEDED = "superseded"
    """Somebody else deployed meanwhile; theirs was left alone."""
    REFUSED = "refused"
    """It may not, or cannot, be done so; `error.kind` is `policy` or `input`."""
    FAILED = "failed"
    """It broke before anything was changed, or was terminated; `error` says why."""


class State(StrEnum):
    """What a procedure is doing."""

    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting-approval"
    """A person is asked, or a task waits for one."""
    VERIFYING = "verifying"
    """It measures whether the service recovered."""
    PAUSED = "paused"
    """A person holds it before its next step."""
    DONE = "done"


class Verdict(StrEnum):
    """What the readings say after a change."""

    RECOVERED = "recovered"
    NOT_RECOVERED = "not-recovered"
    INCONCLUSIVE = "inconclusive"


class Problem(Message):
    """An error in a report."""

    kind: str
    message: str
    """What is wrong."""
    fix: str | None = None
    """What a person does about it, where that is known."""

    @property
    def line(self) -> str:
        """What is wrong and the fix, in one line."""
        return with_fix(self.message, self.fix)


class Ending(Message):
    """How a procedure ends, and why."""

    outcome: Outcome
    summary: str
    """One sentence, with what a person must do next, if anything."""
    verdict: Verdict | None = None
    error: Problem | None = None


class Step(Message):
    """One line of the page."""

    heading: str
    step: str
    state: Literal["running", "done", "failed", "cancelled"]
    started: datetime
    ended: datetime | None = None
    detail: str | None = None
    """What came of it."""
    cited: tuple[Cited, ...] = ()
    """What was asked, when, and what was answered, where the step read evidence."""


class Undone(Message):
    """What came of an undo."""

    detail: str = "undone"
    failed: bool = False
    """Whether the change is still there although it should not be: a person undoes it by hand."""


def not_undone(why: str) -> Undone:
    """Say why an undo failed."""
    return Undone(detail=f"could not undo: {why}", failed=True)


class Change(Message):
    """One change that was made, or may have been."""

    action: str
    before: str
    after: str
    undone: str | None = None
    """What came of an abort or an undo: ``undone``, ``kept``, ``could not undo: …``; None while nobody ordered one."""
    undo_failed: bool = False
    """Whether an undo failed: a person undoes it by hand."""
    certain: bool = True
    """Whether it is known to have been made; from before it is sent until its answer it only may have been."""
    kept: bool = False
    """Whether an abort left it as it is."""

    @property
    def fate(self) -> str:
        """What became of it, as a phrase: ``made``, ``may have been made``, or what came of an undo."""
        return self.undone or ("made" if self.certain else "may have been made")


class Task(Message):
    """Something that people do: asked for at a checkpoint where the remedy waits for it, else left for the review."""

    what: str
    """One sentence."""
    kind: Literal["immediate", "long-term", "monitoring", "documentation"]
    """Where it belongs among the review's action items."""
    why: str = ""
    look_at: tuple[str, ...] = ()
    """What was found, a line each: readings, slowest endpoints, sessions."""
    links: dict[str, str] = Field(default_factory=dict)
    """Where more is to be seen, by name."""
    state: Literal["open", "done", "skipped"] = "open"
    by: str | None = None
    comment: str | None = None
    chosen: str | None = None
    """The option that was answered, where the task offered more than done and skip."""
    at: datetime | None = None
    """When it was answered."""

    @property
    def summary(self) -> str:
        """What became of it: ``done by bob: rebooted``."""
        said = f"{self.chosen or self.state} by {self.by}" if self.by else self.state
        return f"{said}: {self.comment}" if self.comment else said


class Asker(Message):
    """The run that asks a question, and which of its questions it is."""

    workflow_id: str
    run_id: str
    procedure: str
    requester: str
    gate: int
    signed: bool = False
    """Whether an answer counts only with a signature."""
    longest: timedelta = timedelta(minutes=15)
    """How long a signature may be valid."""


class Checkpoint(Message):
    """A gate that waits for a person."""

    question: str
    plan: Plan | None = None
    task: Task | None = None
    """What a person is asked to do, where it is not a yes to a plan that is asked for."""
    plan_hash: str
    document: str | None = None
    """All that the gate shows, as canonical JSON (``Shown``), which signatures are over."""
    subject: str | None = None
    """The SHA-256 of the document."""
    asked_by: Asker | None = None
    """The run that asks, which may be a child of the one that people name."""
    options: tuple[str, ...] = ("approve",)
    approvals_needed: int = 1
    approvals: tuple[Approval, ...] = ()
    abort_means: str = ""
    """What an abort would do now."""
    opened: AwareDatetime
    closes: AwareDatetime
    """When silence decides."""


class Rejection(Message):
    """Something that was sent and could not be used."""

    message: str
    """``approve``, ``abort`` …"""
    why: str
    received: str
    """What came, shortened."""
    at: datetime


class Decision(Message):
    """What a person decided, for the record."""

    kind: str
    by: str
    at: datetime
    detail: str


def keep_decision(kept: tuple[Decision, ...], new: Decision) -> tuple[Decision, ...]:
    """Add a decision; of very many the newest are kept, and nobody pushes out those of others."""
    return keep_newest((*kept, new), DECISIONS_KEPT, lambda decision: decision.by)


def keep_rejection(kept: tuple[Rejection, ...], new: Rejection) -> tuple[Rejection, ...]:
    """Add what could not be used; of very much the newest is kept, and no kind of message pushes out the others."""
    return keep_newest((*kept, new), REJECTED_KEPT, lambda rejection: rejection.message)


class Report(Message):
    """A procedure's page as it stands: the answer to ``status``, and the result at the end."""

    procedure: str
    service: str
    environment: str
    requested_by: str
    reason: str | None = None
    state: State
    outcome: Outcome | None = None
    summary: str
    """One sentence: where it stands, and what a person must do next, if anything."""
    heading: str = ""
    checkpoint: Checkpoint | None = None
    plan: Plan | None = None
    plan_hash: str | None = None
    steps: tuple[Step, ...] = ()
    findings: tuple[str, ...] = ()
    """What the diagnosis found, with its evidence."""
    tasks: tuple[Task, ...] = ()
    """What people were asked to do, or are left to do: done, skipped or open."""
    changes: tuple[Change, ...] = ()
    readings: tuple[Reading, ...] = ()
    verdict: Verdict | None = None
    decisions: tuple[Decision, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    resumed: int = 0
    """How often it was resumed: the ``sequence`` of the next signed resume."""
    error: Problem | None = None
    trace_id: str | None = None
    trace: str | None = None
    """Where the trace is seen, as the worker's catalog says."""
    admitted: bool = False
    """Whether the run may work on its target: the catalog has it, and the lock of its ECS service is taken where one is needed."""
