"""How many runs stand where, and which brakes hold, as gauges: Temporal is asked every half minute."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.service import RPCError

from activities.telemetry.metric_names import BRAKE_ENGAGED, OPEN_RUNS
from activities.temporal.runs import OPEN
from runbook_model.names.ids import ENVIRONMENT, STATE

if TYPE_CHECKING:
    from activities.temporal.brakes import BrakeActivities

log = logging.getLogger("runbook.census")

STATES: Final = ("running", "awaiting-approval", "verifying", "paused")
EVERY_SECONDS = 30.0


class Census:
    """Counts the open runs of some environments by their state, and looks whether their brakes hold."""

    def __init__(
        self, client: Client, brakes: BrakeActivities, meter: MetricMeter, environments: Sequence[str]
    ) -> None:
        self._client = client
        self._brakes = brakes
        self._environments = environments
        self._open = OPEN_RUNS.on(meter)
        self._engaged = BRAKE_ENGAGED.on(meter)
        self._scopes: dict[str, set[str]] = defaultdict(set)

    async def take(self) -> None:
        """Count once."""
        for environment in self._environments:
            await self._look_at_brake(environment)
            for state in STATES:
                asked = f'{ENVIRONMENT.name} = "{environment}" AND {STATE.name} = "{state}" AND {OPEN}'
                counted = await self._client.count_workflows(asked)
                self._open.set(counted.count, {"environment": environment, "state": state})

    async def _look_at_brake(self, environment: str) -> None:
        book = await self._brakes.book(environment)
        engaged = {f"{environment}/{item.service}" if item.service else environment for item in book.on}
        known = self._scopes[environment] | engaged | {environment}
        for scope in known:  # one that was taken off is reported once more, as zero
            self._engaged.set(int(scope in engaged), {"environment": environment, "scope": scope})
        self._scopes[environment] = known

    async def keep(self) -> None:
        """Count for ever; what cannot be counted now is counted later."""
        while True:
            try:
                await self.take()
            except RPCError as error:
                log.info("open runs were not counted: %s", error)
            await asyncio.sleep(EVERY_SECONDS)
