"""How many runs stand where, as gauges: what is asked of Temporal's lists every half minute."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from temporalio.service import RPCError

from activities.counted import OPEN_RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.client import Client
    from temporalio.common import MetricMeter

log = logging.getLogger("runbook.census")

STATES: Final = ("running", "awaiting-approval", "verifying", "paused")
EVERY_SECONDS = 30.0


class Census:
    """Counts the open runs of some environments by their state."""

    def __init__(self, client: Client, meter: MetricMeter, environments: Sequence[str]) -> None:
        self._client = client
        self._environments = environments
        self._open = OPEN_RUNS.on(meter)

    async def take(self) -> None:
        """Count once."""
        for environment in self._environments:
            for state in STATES:
                asked = f'RunbookEnvironment = "{environment}" AND RunbookState = "{state}" AND ExecutionStatus = "Running"'
                counted = await self._client.count_workflows(asked)
                self._open.set(counted.count, {"environment": environment, "state": state})

    async def keep(self) -> None:
        """Count for ever; what cannot be counted now is counted later."""
        while True:
            try:
                await self.take()
            except RPCError as error:
                log.info("open runs were not counted: %s", error)
            await asyncio.sleep(EVERY_SECONDS)
