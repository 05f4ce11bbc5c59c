"""What people and other runs send to a procedure, and what is answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from runbook_model.text.plain_text import one_line


def _harmless(value: object) -> object:
    return one_line(value) if isinstance(value, str) else value


def _bounded(value: object) -> object:
    return one_line(value[:LONGEST]) if isinstance(value, str) else value


LONGEST = 2000
Said = Annotated[str, BeforeValidator(_harmless)]
"""What a person says, on one line."""
Person = Annotated[str, BeforeValidator(_harmless), StringConstraints(min_length=1, max_length=200)]
Given = Annotated[str, BeforeValidator(_bounded)]
"""What a start brings, cut rather than refused: a start that cannot be read would block its run."""


class Message(BaseModel):
    """Something said; it does not change any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Signable(Message):
    """What a person decides, which may be signed."""

    decision_id: str | None = Field(default=None, max_length=200)
    statement: str | None = Field(default=None, max_length=8192)
    """The exact text that was signed, where the environment asks for signed decisions."""
    signature: str | None = Field(default=None, max_length=8192)
    """SSHSIG of the statement, as ``ssh-keygen -Y sign`` writes it."""


class StartSignature(Signable):
    """The signature of whoever asked for a run, over the run id that its start returned."""

    by: Person


class SignedStart(Message):
    """The start of a run, signed by whoever asked for it."""

    workflow_id: str
    run_id: str
    """Of the run that was started, which may be above the one that asks."""
    procedure: str
    statement: str
    signature: str


class ProcedureRequest(Message):
    """Run a procedure on a target."""

    service: str
    environment: str
    requested_by: Given = "unknown"
    reason: Given | None = None
    plan_only: bool = False
    trace_id: str | None = None
    incident: str | None = None
    """Id of the incident that it belongs to, and says how it goes."""
    automatic: bool = False
    """Whether no person asked for it: then the brake is asked before each change."""
    replace: bool = False
    """Whether a run that holds the same ECS service under another name is aborted first, and keeps its changes."""
    start: SignedStart | None = None
    """Of the run above, where whoever asked for it signed that."""


AS_CONFIGURED, FAST = "as-configured", "fast"
SHIFTS = (AS_CONFIGURED, FAST)


class RollbackRequest(ProcedureRequest):
    """Put a target back on an earlier release."""

    to: str | None = None
    """The release wanted: revision, ``family:revision``, ARN, image tag or digest; None for the last known good."""
    suspect: str | None = None
    """``family:revision`` that a diagnosis found to be bad: taking back another, deployed since, needs a person's yes."""
    shift: Given = AS_CONFIGURED
    """How an update shifts traffic: ``as-configured``, or ``fast``: without bake times; only a person chooses that."""
    continue_own_hooks: bool = False
    """Whether pause hooks of the run's own deployment are answered by its approval; only a person chooses that."""


class Approval(Signable):
    """A person's yes to the plan that a checkpoint shows, or the choice of one of its options."""

    by: Person
    plan_hash: str | None = Field(default=None, max_length=200)
    option: str | None = Field(default=None, max_length=100)
    comment: Said | None = Field(default=None, max_length=2000)
    key: str | None = Field(default=None, max_length=200)
    """Fingerprint of the key that signed it, once that was verified; what a message says of it is not believed."""


class Abort(Signable):
    """A person's order to stop safely."""

    by: Person
    reason: Said = Field(min_length=1, max_length=2000)
    keep: bool | None = None
    """Keep what was changed, or undo it; None for the procedure's default."""
    confirmed: bool = False
    """Undo even onto a release that is marked bad."""
    from_parent: bool = False
    """By the procedure above, which has taken it: it stops its child whatever becomes of the undo."""


class Instruction(Signable):
    """A person's pause, resume or acknowledgement."""

    by: Person
    reason: Said | None = Field(default=None, max_length=2000)


class Note(Message):
    """What a person knows of the outage."""

    by: Person
    impact: Said | None = Field(default=None, max_length=2000)
    root_cause: Said | None = Field(default=None, max_length=2000)
    eta: Said | None = Field(default=None, max_length=200)
    observation: Said | None = Field(default=None, max_length=2000)
    decision_id: str | None = Field(default=None, max_length=200)

    @property
    def said(self) -> dict[str, str]:
        """What it says, by what it is about."""
        return self.model_dump(exclude={"by", "decision_id"}, exclude_none=True)

    @property
    def line(self) -> str:
        """What it says, in one line."""
        return "; ".join(f"{about}: {text}" for about, text in self.said.items())


class Answer(Message):
    """What came of an update."""

    detail: str
    """In words, for the person who sent it: ``approved, 1 of 2``."""
    already: bool = False
    """The same was recorded before."""
