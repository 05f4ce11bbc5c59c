"""Temporal, as the webhook needs it: it takes alerts for good, and says whether it is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from activities.telemetry.telemetry import root_span
from runbook_model.text.sentences import count_of
from starter.client.incidents import report_alerts
from starter.webhook.routing import Delivery

LOOK_TIMEOUT = timedelta(seconds=2)
LOOK_AGAIN_SECONDS = 1.0
"""So often Temporal is asked at most, however often anybody asks us."""
AT_ONCE = 20
"""Incidents of one call that are reported at the same time."""


class NotAcceptedError(Exception):
    """Temporal does not have all of the alerts; sent again, those that it has do no harm."""


class Incidents:
    """The incidents in Temporal."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._looked_at = 0.0
        self._reachable = False

    async def report(self, deliveries: Sequence[Delivery], seconds: float) -> None:
        """Hand every alert to its incident; when this returns, Temporal has all of them.

        Args:
            deliveries: what goes to which incident.
            seconds: how long all of it may take.

        Raises:
            NotTakenError: it may lack some of them.
        """
        try:
            with root_span("runbook webhook", {}) as trace_id:
                async with asyncio.timeout(seconds):
                    signals = (self._signal(delivery, trace_id) for delivery in deliveries)
                    results = await asyncio.gather(*signals, return_exceptions=True)
        except TimeoutError:
            raise NotAcceptedError(f"Temporal did not take the alerts within {seconds:.0f} s") from None
        failed = [error for error in results if error is not None]
        if failed:
            raise NotAcceptedError(
                f"Temporal did not take the alerts of {count_of(len(failed), 'incident')}: {_said(failed[0])}"
            )

    async def reachable(self) -> bool:
        """Whether Temporal answers, and has our namespace."""
        if time.monotonic() > self._looked_at + LOOK_AGAIN_SECONDS:
            self._reachable = await self._look()
            self._looked_at = time.monotonic()
        return self._reachable

    async def _look(self) -> bool:
        question = DescribeNamespaceRequest(namespace=self._client.namespace)
        try:
            await self._client.workflow_service.describe_namespace(
                question, retry=False, timeout=LOOK_TIMEOUT
            )
        except (RPCError, RuntimeError):  # a client that cannot even connect raises the second
            return False
        return True

    async def _signal(self, delivery: Delivery, trace_id: str | None) -> None:
        async with self._turns:
            for batch in delivery.batches:
                await report_alerts(
                    self._client, delivery.service, delivery.environment, batch, trace_id=trace_id
                )


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
