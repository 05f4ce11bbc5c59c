"""What people send to a procedure and what it tells them: requests, answers, plans, reports."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from runbook_model.evidence import Cited
from runbook_model.readings import Reading
from runbook_model.release import Fence, Release
from runbook_model.sentences import with_fix

Person = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Message(BaseModel):
    """Something said; it does not change any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


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


class ProcedureRequest(Message):
    """Run a procedure on a target."""

    service: str
    environment: str
    requested_by: str = "unknown"
    reason: str | None = None
    plan_only: bool = False
    trace_id: str | None = None
    incident: str | None = None
    """Id of the incident that it belongs to, and tells how it goes."""
    automatic: bool = False
    """Whether no person asked for it: then the brake is asked before each change."""
    replace: bool = False
    """Whether a run that holds the same ECS service under another name is aborted first, and keeps its changes."""


class RollbackRequest(ProcedureRequest):
    """Put a target back on an earlier release."""

    to: str | None = None
    """The release wanted: revision, ``family:revision``, ARN, image tag or digest; None for the last known good."""
    suspect: str | None = None
    """``family:revision`` that a diagnosis found to be bad: taking back another, deployed since, needs a person's yes."""


class Approval(Message):
    """A person's yes to the plan that a checkpoint shows, or the choice of one of its options."""

    by: Person
    plan_hash: str | None = Field(default=None, max_length=200)
    option: str | None = Field(default=None, max_length=100)
    comment: str | None = Field(default=None, max_length=2000)
    decision_id: str | None = Field(default=None, max_length=200)


class Abort(Message):
    """A person's order to stop safely."""

    by: Person
    reason: str = Field(min_length=1, max_length=2000)
    keep: bool | None = None
    """Keep what was changed, or undo it; None for the procedure's default."""
    confirmed: bool = False
    """Undo even onto a release that is marked bad."""
    from_parent: bool = False
    """By the procedure above, which has taken it: it stops its child whatever becomes of the undo."""
    decision_id: str | None = Field(default=None, max_length=200)


class Hold(Message):
    """A person's pause, resume or acknowledgement."""

    by: Person
    reason: str | None = Field(default=None, max_length=2000)
    decision_id: str | None = Field(default=None, max_length=200)


class Note(Message):
    """What a person knows of the outage."""

    by: Person
    impact: str | None = Field(default=None, max_length=2000)
    root_cause: str | None = Field(default=None, max_length=2000)
    eta: str | None = Field(default=None, max_length=200)
    observation: str | None = Field(default=None, max_length=2000)


class Answer(Message):
    """What came of an update."""

    detail: str
    """In words, for the person who sent it: ``approved, 1 of 2``."""
    already: bool = False
    """The same was recorded before."""


class PlannedCall(Message):
    """One call that a plan will make."""

    service: str
    """The boto3 client's name."""
    action: str
    parameters: dict[str, Any]


class Plan(Message):
    """What a change will do, before it does it."""

    headline: str
    """One sentence: what, from where to where."""
    calls: tuple[PlannedCall, ...]
    before: Release | None = None
    """The release that runs, where the plan is about releases."""
    after: Release | None = None
    because: tuple[str, ...] = ()
    """Why this and nothing else: the evidence."""
    not_restored: tuple[str, ...] = ()
    """What the change does not bring back."""
    afterwards: tuple[str, ...] = ()
    """What is written down once it is verified."""
    needs_yes: str | None = None
    """Why a person must agree even where the policy asks nobody."""
    fence: Fence | None = None
    """The state of the ECS service that the plan was made on, where it depends on that."""
    essence: str = ""
    """What else the approval is bound to, such as the hash of a Terraform plan."""

    @property
    def under_way(self) -> str | None:
        """ARN of the service deployment that must still be under way for the plan to make sense, if any."""
        return None


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


class Change(Message):
    """One change that was made, or may have been."""

    action: str
    before: str
    after: str
    undone: str | None = None
    """What came of an abort or an undo: ``undone``, ``kept``, ``could not undo: …``; None while nobody ordered one."""
    certain: bool = True
    """Whether it is known to have been made; from before it is sent until its answer it only may have been."""
    kept: bool = False
    """Whether an abort left it as it is."""

    @property
    def fate(self) -> str:
        """What became of it, in words: ``made``, ``may have been made``, or what came of an undo."""
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
    def told(self) -> str:
        """What became of it: ``done by bob: rebooted``."""
        said = f"{self.chosen or self.state} by {self.by}" if self.by else self.state
        return f"{said}: {self.comment}" if self.comment else said


class Checkpoint(Message):
    """A gate that waits for a person."""

    question: str
    plan: Plan | None = None
    task: Task | None = None
    """What a person is asked to do, where it is not a yes to a plan that is asked for."""
    plan_hash: str
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
    error: Problem | None = None
    trace_id: str | None = None
    trace: str | None = None
    """Where the trace is seen, as the worker's catalog says."""
