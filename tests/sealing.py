"""Keys for tests, and histories that are encrypted after the fact."""

import base64
import hashlib

from google.protobuf.message import Message
from temporalio.api.common.v1 import Header, Payload, SearchAttributes
from temporalio.api.failure.v1 import Failure

from activities.encryption import Codec, load_keys
from workflows.converter import data_converter


def key(key_id: str) -> str:
    """A line of ``RUNBOOK_CODEC_KEYS``: the same for the same id."""
    return f"{key_id} {base64.b64encode(hashlib.sha256(key_id.encode()).digest()).decode()}"


def codec(*key_ids: str) -> Codec:
    """A codec with the keys of these ids; the first encrypts."""
    return Codec(load_keys({"RUNBOOK_CODEC_KEYS": "\n".join(map(key, key_ids))}))


async def seal(message: Message, by: Codec) -> int:
    """Encrypt in place what the SDK encrypts of a message; returns how many payloads that were."""
    if isinstance(message, Payload):
        message.CopyFrom((await by.encode([message]))[0])
        return 1
    if isinstance(message, SearchAttributes | Header):
        return 0
    if isinstance(message, Failure):
        said = {"message": message.message, "stack_trace": message.stack_trace}
        message.encoded_attributes.CopyFrom((await data_converter.encode([said]))[0])
        message.message, message.stack_trace = "Encoded failure", ""
    count = 0
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        is_map = descriptor.message_type.GetOptions().map_entry
        several = value.values() if is_map else [value] if isinstance(value, Message) else value
        for each in several:
            count += await seal(each, by) if isinstance(each, Message) else 0
    return count
