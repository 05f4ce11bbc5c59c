"""What is the same around every activity: its errors become Temporal's, and its heart beats while it works."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from activities.runtime.fence import attempt_begins
from runbook_model.errors import BugError, RunbookError
from runbook_model.text.redaction import excerpt
from runbook_model.text.sentences import QUOTED

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
