"""What an attempt of an activity leaves for the next one is read, or waited for, and never taken for nothing.

A worker that lacks the key of a heartbeat cannot know whether the attempt before it had sent its change. The SDK would end
the activity for good; here it fails and is tried again, until a worker with the key takes it.
"""

from __future__ import annotations

from typing import Any

from temporalio import activity
from temporalio.common import RawValue
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from activities.runtime.encryption import WORD_LEFT, lacks_key
from runbook_model.errors import MissingKeyError


class RequireHeartbeatKey(Interceptor):
    """Marks what heartbeats hold, so that it can be determined what a missing key hides."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap an activity."""
        return _Reading(next)


class _Reading(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        super().init(_Marking(outbound))

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        for word in activity.info().heartbeat_details:
            if (key_id := lacks_key(word)) is not None:
                raise MissingKeyError(key_id)
        return await super().execute_activity(input)


class _Marking(ActivityOutboundInterceptor):
    def heartbeat(self, *details: Any) -> None:
        super().heartbeat(*(_marked(item) for item in details))


def _marked(word: object) -> RawValue:
    payload = activity.payload_converter().to_payload(word)
    payload.metadata[WORD_LEFT] = b"true"
    return RawValue(payload)
