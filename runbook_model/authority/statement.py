"""What a person signs: a statement, as exact bytes of JSON, and its signature; and what it must be about. Pure.

Which kind of statement has which fields, ``FIELDS`` says; a field that does not belong to a kind is refused, as is one that is
missing. The bytes that were signed are what counts: they are parsed strictly, and never written again.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)

from runbook_model.authority.canonical import canonical, subject_of
from runbook_model.errors import InputError, Rejected
from runbook_model.fact import first_problem
from runbook_model.messages import Message

VERSION: Final = 1

NAMESPACE: Final = "decision@incident-runbooks"
"""Of the signature: what is signed for another purpose is never a decision."""

SKEW: Final = timedelta(minutes=5)
"""How far clocks may differ."""

LONGEST: Final = 8192
"""Characters of a statement, and of a signature."""

Kind = Literal[
    "approve",
    "choose",
    "undo",
    "resume",
    "brake-off",
    "close",
    "release-mark",
    "task-done",
    "end-hold",
    "continue-hook",
    "standing",
    "start",
]

_ALL = frozenset(
    {"v", "kind", "namespace", "environment", "signer", "issued_at", "expires_at", "decision_id"}
)

_RUN = _ALL | {"workflow_id", "run_id", "subject"}

_GATE = _RUN | {"service", "procedure", "gate", "requester"}

FIELDS: Final[dict[Kind, frozenset[str]]] = {
    "approve": _GATE,
    "choose": _GATE | {"option"},
    "task-done": _GATE | {"option"},
    "undo": _RUN | {"service"},
    "resume": _RUN | {"service", "sequence"},
    "brake-off": _RUN | {"sequence"},
    "close": _RUN | {"service", "sequence"},
    "release-mark": _RUN | {"service"},
    "end-hold": _RUN | {"service"},
    "continue-hook": _GATE | {"option"},
    "standing": _ALL | {"subject"},
    "start": _RUN | {"service", "procedure", "requester"},
}
"""The fields that a statement of each kind has."""

MAY_HAVE: Final[dict[Kind, frozenset[str]]] = {
    kind: frozenset({"on_behalf_of", *(("service",) if kind == "brake-off" else ())}) for kind in FIELDS
}
"""The fields that it may have besides: whom a gateway speaks for, and which service's brake it is."""

AT_GATES: Final = frozenset({"approve", "choose", "task-done", "continue-hook"})
"""Kinds whose subject is the hash of what a gate shows; of the others it is that of the order, see ``subject_of_order``."""

TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def _read_time(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        found = datetime.strptime(value, TIME).replace(tzinfo=UTC)
    except ValueError:
        found = None
    if found is None or found.strftime(TIME) != value:
        raise ValueError("must be a time such as 2026-01-31T12:00:00Z")
    return found


Time = Annotated[
    datetime,
    BeforeValidator(_read_time),
    PlainSerializer(lambda time: time.astimezone(UTC).strftime(TIME), return_type=str),
]

Text = Annotated[str, Field(min_length=1, max_length=500)]


class Statement(BaseModel):
    """What a person says, and of what; which fields there are depends on its kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: int = Field(default=VERSION, ge=VERSION, le=VERSION)
    kind: Kind
    namespace: Text
    """Temporal's namespace."""
    workflow_id: Text | None = None
    """Of the run that asks, which may be a child of the one that people name."""
    run_id: Text | None = None
    """Of incidents and brakes, which continue as new runs, the first one's."""
    sequence: int | None = Field(default=None, ge=0)
    """How many decisions of this kind the run had taken before."""
    environment: Text
    service: Text | None = None
    procedure: Text | None = None
    gate: int | None = Field(default=None, ge=0)
    """Which of the run's questions it answers."""
    subject: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of what a gate shows, or of the order."""
    option: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    requester: Text | None = None
    """Who asked for the run."""
    signer: Text
    on_behalf_of: Text | None = None
    issued_at: Time
    expires_at: Time
    decision_id: Annotated[str, Field(min_length=1, max_length=200)]

    def text(self) -> str:
        """Return what is signed: canonical JSON of the fields that it has."""
        return canonical(self.model_dump(mode="json", exclude_none=True))


class SignedStatement(Message):
    """The exact text of a statement, and its signature."""

    statement: str = Field(max_length=LONGEST)
    signature: str = Field(max_length=LONGEST)


class Warrant(Message):
    """What a change brings along: what people were shown, and what they signed."""

    document: str
    """``Shown`` as canonical JSON, as it was written down when the gate opened."""
    statements: tuple[SignedStatement, ...] = ()


def parse_statement(text: str) -> Statement:
    """Read a statement strictly.

    Raises:
        Rejected: it is not JSON, has a key twice, or its fields are not those of its kind.
    """
    if len(text) > LONGEST:
        raise Rejected(f"the statement is longer than {LONGEST} characters")
    try:
        found = json.loads(text, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except RecursionError:
        raise Rejected("the statement is not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise Rejected(f"the statement is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise Rejected("the statement is not a JSON object")
    try:
        statement = Statement.model_validate(found)
    except ValidationError as error:
        raise Rejected(f"the statement's {first_problem(error)}") from None
    _check_fields(statement.kind, found)
    return statement


def subject_of_order(kind: Kind, order: dict[str, Any]) -> str:
    """Return what a statement of a kind that answers no gate is about: the hash of the order, by its fields.

    Raises:
        InputError: the order cannot be written as canonical JSON.
    """
    if kind in AT_GATES:
        raise InputError(f"a statement of kind {kind} answers a gate")
    return subject_of({"kind": kind, **order})


def _check_fields(kind: Kind, found: dict[str, Any]) -> None:
    if missing := FIELDS[kind] - found.keys():
        raise Rejected(f"a statement of kind {kind} needs {', '.join(sorted(missing))}")
    if more := found.keys() - FIELDS[kind] - MAY_HAVE[kind]:
        raise Rejected(f"a statement of kind {kind} has no {', '.join(sorted(more))}")
    if empty := [key for key, value in found.items() if value is None]:
        raise Rejected(f"the statement's {', '.join(sorted(empty))} is null")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


assert FIELDS.keys() == set(get_args(Kind))


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
