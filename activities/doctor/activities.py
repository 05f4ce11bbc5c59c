"""Is everything in place: looked at from a worker, whose identity and network are what counts; and what drills found.

How things are looked at comes in as ``Checkup``; whatever comes of it is a check, never an error. Nothing is changed.
"""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError

from runbook_model.catalog.catalog import Catalog, load_catalog
from runbook_model.catalog.target import Target
from runbook_model.checks import (
    Checks,
    DoctorRequest,
    Drilled,
    DrillRequest,
    Found,
    LastDrill,
    Place,
    TargetChecks,
)
from runbook_model.errors import UnknownTargetError
from runbook_model.names.ids import ENVIRONMENT
from runbook_model.names.procedures import PROCEDURES, KnownProcedures

if TYPE_CHECKING:
    from activities.doctor.checkup import Checkup
    from activities.runtime.interceptors import EnvironmentGuard


class DoctorActivities:
    """Looks whether everything is in place."""

    def __init__(
        self, catalog: Path, look: Checkup, served: EnvironmentGuard, known: KnownProcedures | None = None
    ) -> None:
        """Look with a worker's catalog, for the environments and by the procedures that it serves."""
        self._catalog = catalog
        self._known = known or KnownProcedures()
        self._served = served
        self._look = look

    @activity.defn
    async def find_targets(self, request: DoctorRequest) -> Found:
        """Read from this worker's catalog what there is to look at.

        Raises:
            PolicyError: the environment is not that of the queue.
            CatalogError: the catalog is wrong.
            UnknownTargetError: it has no such environment, or no such service there.
        """
        self._served.check(request.environment)
        return await asyncio.to_thread(self._find, request)

    # These two are on the queue of waits: they hold none of the threads that changes need.
    @activity.defn
    async def examine_place(self, place: Place) -> Checks:
        """Look at what the services of an environment share: AWS, the cluster, Prometheus, the clock.

        Only the environment's name is taken from what is sent: channels and addresses come with the worker's secrets.
        """
        served = activity.info().started_time
        self._served.check(place.environment)
        own = await asyncio.to_thread(lambda: self._place(load_catalog(self._catalog), place.environment))
        return Checks(checks=await self._look.at_place(own, served.astimezone(UTC)))

    @activity.defn
    async def examine_target(self, target: Target) -> TargetChecks:
        """Look at one service: what is read of it, its addresses, its Terraform module, its database."""
        return await self._look.at_target(target)

    def _find(self, request: DoctorRequest) -> Found:
        catalog, name = load_catalog(self._catalog), request.environment
        place = self._place(catalog, name)
        here = sorted(item for item, service in catalog.services.items() if name in service.environments)
        wanted = [request.service] if request.service else here
        return Found(
            catalog=str(self._catalog),
            place=place,
            procedures=(*PROCEDURES, *self._known.own),
            targets=tuple(catalog.target(item, name) for item in wanted),
        )

    @staticmethod
    def _place(catalog: Catalog, name: str) -> Place:
        where = catalog.environments.get(name)
        if where is None:
            known = ", ".join(sorted(catalog.environments)) or "none"
            raise UnknownTargetError(f'no environment "{name}" in the catalog', fix=f"there are: {known}")
        names = catalog.channels_of(name)
        channels = tuple(channel for channel in catalog.channels if channel.name in names)
        return Place(environment=name, where=where, channels=channels)


LAST_DRILL = f"WorkflowType = 'Drill' AND {ENVIRONMENT.name} = '{{}}' AND ExecutionStatus = 'Completed'"


class DrillActivities:
    """Reads drills from Temporal itself: its results are their only memory."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn
    async def read_last_drill(self, request: DrillRequest) -> LastDrill:
        """Read what the newest completed drill of an environment leaves to compare with."""
        query = LAST_DRILL.format(request.environment)
        async for run in self._client.list_workflows(query, limit=1):
            handle = self._client.get_workflow_handle(run.id, run_id=run.run_id, result_type=Drilled)
            try:
                drill = await handle.result(follow_runs=False)
                return LastDrill(drill=drill.model_copy(update={"checks": (), "broke": (), "restored": ()}))
            except (ValidationError, WorkflowFailureError) as error:
                activity.logger.warning("%s cannot be read: %s", run.id, error)
        return LastDrill()
