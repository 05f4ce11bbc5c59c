"""Recorded histories: what their payloads hold, and the acts that they report about.

Texts in them are made one line, bounded, and without what looks like a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import PayloadCodec

from runbook_model.text.redaction import excerpt

if TYPE_CHECKING:
    from activities.review.model import Cite

M = TypeVar("M", bound=Message)

Json = Any
"""What JSON can hold; histories of other versions may hold anything."""

TEXT = 500
NOBODY = "unknown"


@dataclass(frozen=True)
class Recorded:
    """The history of one run, oldest event first."""

    workflow: str
    run: str
    events: Sequence[HistoryEvent]


@dataclass(frozen=True)
class Chronicle:
    """The histories of an incident, its own first; or of a procedure."""

    subject: str
    runs: tuple[Recorded, ...]
    lost: tuple[str, ...] = field(default=())
    """Runs that belong to it and could not be read any more."""


def value_of(payload: Payload | None) -> Json:
    """Return what a payload holds; None for nothing, and for what is no JSON."""
    if payload is None or not payload.metadata.get("encoding", b"").startswith(b"json/"):
        return None
    try:
        return json.loads(payload.data)
    except ValueError:
        return None


def first_of(payloads: Payloads) -> Json:
    """Return what the first of several payloads holds."""
    return value_of(payloads.payloads[0]) if payloads.payloads else None


def values_of(fields: Mapping[str, Payload]) -> dict[str, Json]:
    """Return what a memo or search attributes hold."""
    return {name: value_of(payload) for name, payload in fields.items()}


def object_of(value: Json) -> dict[str, Json]:
    """Return a value that is an object; an empty one for all others."""
    return value if isinstance(value, dict) else {}


async def decode(events: Sequence[HistoryEvent], codec: PayloadCodec | None) -> None:
    """Decode every payload of a history in place, where payloads are encoded at all.

    Raises:
        MissingKeyError: something is encrypted by a key that is not here.
    """
    if codec is None:
        return
    for event in events:
        for payload in _found(Payload, event):
            payload.CopyFrom((await codec.decode([payload]))[0])
        for failure in _found(Failure, event):
            if failure.HasField("encoded_attributes"):
                said = object_of(value_of(failure.encoded_attributes))
                failure.message = said.get("message") or failure.message
                failure.stack_trace = said.get("stack_trace") or failure.stack_trace


def _found(kind: type[M], message: Message) -> Iterator[M]:
    """Find the parts of a message that are of a kind, the outermost first."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        for each in _members(descriptor, value):
            if isinstance(each, kind):
                yield each
            if isinstance(each, Message):
                yield from _found(kind, each)


def _members(descriptor: Any, value: Any) -> Iterator[Any]:
    if descriptor.message_type.GetOptions().map_entry:
        yield from value.values()
    elif isinstance(value, Message):
        yield value
    else:
        yield from value


@dataclass
class Act:
    """An activity, from when it was wanted to how it ended."""

    name: str
    step: int | None
    """The number of its step on the page; None where it is none."""
    words: str
    given: Json
    started: datetime
    cite: Cite
    ended: datetime | None = None
    end: Cite | None = None
    how: str = "open"
    """``done``, ``failed``, ``timed out``, ``cancelled``; ``open`` while it continues."""
    result: Json = None
    attempts: int = 1
    why: str = ""
    """The last failure, also of one that was done in the end."""

    @property
    def at(self) -> datetime:
        """When it ended; while it continues, when it was wanted."""
        return self.ended or self.started

    @property
    def proof(self) -> Cite:
        """The event that says how it ended; while it continues, the one that says that it was wanted."""
        return self.end or self.cite

    @property
    def lasted(self) -> timedelta | None:
        """How long it took; None while it continues."""
        return self.ended - self.started if self.ended else None


@dataclass
class Received:
    """A signal or an update that came in."""

    name: str
    given: Json
    at: datetime
    cite: Cite

    @property
    def message(self) -> dict[str, Json]:
        """What was given, where that is an object."""
        return object_of(self.given)


@dataclass
class Noted:
    """A memo, or search attributes, that the run wrote."""

    values: dict[str, Json]
    at: datetime
    cite: Cite


@dataclass
class Course:
    """What one run did."""

    recorded: Recorded
    began: datetime
    cite: Cite
    latest: datetime
    """When the last thing happened that was read."""
    kind: str = ""
    request: dict[str, Json] = field(default_factory=dict)
    parent: str | None = None
    carried: bool = False
    """Whether it continues with what an earlier run of the same id started."""
    acts: list[Act] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    memos: list[Noted] = field(default_factory=list)
    attributes: list[Noted] = field(default_factory=list)
    fired: list[tuple[datetime, str, Cite]] = field(default_factory=list)
    """Timers that ran out, by their summary."""
    stumbles: list[tuple[datetime, str, Cite]] = field(default_factory=list)
    """Workflow tasks that failed or timed out: a worker died, or code was wrong."""
    ended: datetime | None = None
    end: Cite | None = None
    how: str = "open"
    """``completed``, ``failed``, ``timed out``, ``cancelled``, ``terminated``, ``continued``, ``reviewed``."""
    result: dict[str, Json] = field(default_factory=dict)
    why: str = ""
    events: int = 0

    @property
    def workflow(self) -> str:
        """Its id."""
        return self.recorded.workflow

    @property
    def last(self) -> datetime:
        """When it ended, or when the last thing happened."""
        return self.ended or self.latest

    @property
    def asked_by(self) -> Json:
        """Who asked for it: an incident's request and a procedure's have a name each for that."""
        return self.request.get("opened_by") or self.request.get("requested_by")


def received_by(courses: Sequence[Course], *names: str) -> Iterator[Received]:
    """Find the signals and updates of some names that came in, run by run."""
    for course in courses:
        yield from (received for received in course.received if received.name in names)


def said(value: Json, longest: int = TEXT) -> str:
    """Return what somebody or something said; nothing where it is no text."""
    return excerpt(value, longest) if isinstance(value, str) else ""


def lines(value: Json) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(said(item) for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def who(message: Json) -> str:
    """Return who sent a message, as the message says."""
    return (said(message.get("by"), 100) if isinstance(message, dict) else "") or NOBODY


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
