"""What is the same around every activity: errors become Temporal's, its heart beats, and a lacking key stops it.

What an attempt leaves for the next one is read, or waited for, and never taken for nothing: a worker that lacks the key of a
heartbeat cannot know whether the attempt before it had sent its change. The SDK would end the activity for good; here it fails
and is tried again, until a worker with the key takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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
from activities.runtime.fence import attempt_begins
from runbook_model.errors import BugError, MissingKeyError, PolicyError, RunbookError
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import QUOTED


class EnvironmentGuard:
    """The queues that a worker asks for work, each with the environment that it belongs to."""

    def __init__(self, queues: Mapping[str, str]) -> None:
        self._queues = queues

    def check(self, environment: str) -> None:
        """Let an activity continue whose environment is that of the queue which it came by.

        Raises:
            PolicyError: it came by the queue of another environment.
        """
        queue = activity.info().task_queue
        whose = self._queues.get(queue)
        if whose != environment:
            raise PolicyError(
                f'this worker refuses work for the environment "{environment}" from the queue {queue}, '
                f"which belongs to {whose or 'nobody here'}",
                fix=f"start it with --environment {environment}",
            )


BUGS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What Python raises for mistakes in code. Not what comes from outside untranslated: OSError, libraries' own errors."""


class TranslateErrors(Interceptor):
    """Raises what Temporal understands for what activities raise, so that none of them needs to know."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap an activity."""
        return _Translating(next)


class Beat(Interceptor):
    """Beats for activities that have a heartbeat timeout but no words of their own to send, so that a dead worker is noticed."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap an activity."""
        return _Beating(next)


class _Translating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        attempt_begins()
        try:
            return await super().execute_activity(input)
        except RunbookError as error:
            raise error.to_application_error() from error
        except BUGS as error:
            # Attempts are counted whatever they failed with: a bug after many others is reported at once.
            info = activity.info()
            text = excerpt(": ".join(filter(None, (type(error).__name__, str(error)))), QUOTED)
            raise BugError(info.activity_type, text, info.attempt).to_application_error() from error


class _Beating(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        patience = activity.info().heartbeat_timeout
        if patience is None:
            return await super().execute_activity(input)
        beating = asyncio.create_task(self._beat(patience.total_seconds() / 3))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()

    async def _beat(self, every: float) -> None:
        while True:
            self._outbound.heartbeat()
            await asyncio.sleep(every)


class RequireHeartbeatKey(Interceptor):
    """Refuses an attempt whose earlier heartbeats are encrypted with a key that this worker lacks, and names the key."""

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
