"""Histories as they were recorded, and what their payloads hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from temporalio.api.common.v1 import Payloads
    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.converter import PayloadCodec

M = TypeVar("M", bound=Message)
Json = Any
"""What JSON can hold; histories of other versions may hold anything."""


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
