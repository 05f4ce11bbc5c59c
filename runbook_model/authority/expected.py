"""What a statement must be about, and what verifying it found. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import AwareDatetime, Field

from runbook_model.authority.statement import Kind, SignedStatement
from runbook_model.messages import Message

SKEW: Final = timedelta(minutes=5)
"""How far clocks may differ."""


class Expected(Message):
    """What a statement must say; what does not belong to its kind is not compared."""

    kinds: tuple[Kind, ...]
    """Those that are taken; several where the option decides."""
    namespace: str
    workflow_id: str | None = None
    run_id: str | None = None
    sequence: int | None = None
    """None where it is not compared: a child does not know what its parent had taken before."""
    environment: str
    service: str | None = None
    procedure: str | None = None
    gate: int | None = None
    subject: str | None = None
    options: tuple[str, ...] = ()
    """Those that may be chosen; ``approve`` is what a statement of kind ``approve`` chooses."""
    requester: str | None = None
    """Who asked for the run."""


class SignedBy(Message):
    """A statement that is valid: whose, by which key, and what it says."""

    person: str
    key: str
    """Fingerprint, as ``ssh-keygen -l`` prints it."""
    in_hardware: bool = False
    kind: Kind
    option: str = "approve"
    """What was chosen, at a gate."""
    decision_id: str
    issued_at: AwareDatetime
    expires_at: AwareDatetime


class Presented(Message):
    """A decision as it came in, for a worker to verify."""

    expected: Expected
    order: dict[str, str | bool | None] | None = None
    """What the statement is about, where it answers no gate: the order's fields."""
    by: str
    """Who decides, as the message says."""
    decision_id: str | None = None
    signed: SignedStatement | None = None
    anybody: bool = False
    """Whether everybody may answer whom the worker knows: a task that people do changes nothing by itself."""


class Judged(Message):
    """What a worker found."""

    signed_by: SignedBy | None = None
    """None where the environment does not ask for signed decisions."""


class LapseQuestion(Message):
    """Asks how long something counts that nobody signs."""

    environment: str


class Lapse(Message):
    """How long it counts."""

    after: timedelta | None = None
    """None where decisions are not signed: then it stays."""


class Verified(Message):
    """Everybody who agreed by a warrant, each person and each key counted once."""

    people: tuple[SignedBy, ...] = Field(min_length=0)
    option: str = "approve"


def kind_of_answer(option: str | None, *, task: bool = False) -> Kind:
    """Return the kind of statement that answers a gate with an option."""
    if option is None or (option == "approve" and not task):
        return "approve"
    return "task-done" if task and option == "done" else "choose"
