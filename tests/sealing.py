"""Keys for tests, and histories that are encrypted after the fact."""

import base64
import hashlib
from collections.abc import Iterator

from google.protobuf.message import Message
from temporalio.api.common.v1 import Header, Payload, SearchAttributes
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import MarkerRecordedEventAttributes
from temporalio.client import WorkflowHistory

from activities.runtime.converter import data_converter
from activities.runtime.encryption import Codec, load_keys, public_line

LEFT_ALONE = (SearchAttributes, Header, MarkerRecordedEventAttributes)
"""What the SDK encrypts nothing of: markers of patches are made below its converter."""


def key(key_id: str) -> str:
    """A line of ``RUNBOOK_CODEC_KEYS``: the same for the same id."""
    return f"{key_id} {base64.b64encode(hashlib.sha256(key_id.encode()).digest()).decode()}"


def codec(*key_ids: str) -> Codec:
    """A codec with the keys of these ids; the first encrypts."""
    return Codec(load_keys({"RUNBOOK_CODEC_KEYS": "\n".join(map(key, key_ids))}))


def sealing(key_id: str) -> Codec:
    """The codec of somebody who has only the public key that is derived from the one of this id."""
    (secret,) = load_keys({"RUNBOOK_CODEC_KEYS": key(key_id)}).values()
    return Codec(load_keys({"RUNBOOK_CODEC_KEYS": public_line(key_id, secret)}))


def parts(message: Message) -> Iterator[Message]:
    """Everything that a message holds, the outermost first, but what the SDK leaves alone."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        is_map = descriptor.message_type.GetOptions().map_entry
        several = value.values() if is_map else [value] if isinstance(value, Message) else value
        for each in several:
            if isinstance(each, Message) and not isinstance(each, LEFT_ALONE):
                yield each
                yield from parts(each)


def payloads(history: WorkflowHistory) -> list[Payload]:
    """What a history holds that can be encrypted."""
    return [part for event in history.events for part in parts(event) if isinstance(part, Payload)]


async def seal(message: Message, by: Codec) -> int:
    """Encrypt in place what the SDK encrypts of a message; returns how many payloads that were."""
    count = 0
    for part in parts(message):
        if isinstance(part, Failure):
            said = {"message": part.message, "stack_trace": part.stack_trace}
            part.encoded_attributes.CopyFrom((await data_converter.encode([said]))[0])
            part.message, part.stack_trace = "Encoded failure", ""
        if isinstance(part, Payload):
            part.CopyFrom((await by.encode([part]))[0])
            count += 1
    return count
