"""Compose projects on one machine, through the Docker Engine API: what runs, what it uses, and the wait for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.docker.reading import judge_settled, read_project, read_statistics
from activities.runtime.waiting import Progress, handing_over
from runbook_model.catalog.catalog import Target
from runbook_model.containers import AwaitedService, ProjectRead, Settled, StatisticsRead
from runbook_model.errors import OutsideError

if TYPE_CHECKING:
    from activities.docker.engine import Engine

LOOKS = timedelta(seconds=1)
"""How often containers are looked at while they start; two looks in a row must agree, one may be a moment's picture."""


class ComposeActivities:
    """Reads of a compose project; each is safe to repeat."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @activity.defn
    def read_project(self, target: Target) -> ProjectRead:
        """Read the containers of the target's project; a name that is not there is an error that lists those that are."""
        return read_project(self._engine, target)

    @activity.defn
    def read_statistics(self, target: Target) -> StatisticsRead:
        """Read what the service's containers use; that the engine does not measure it is an answer too."""
        project = read_project(self._engine, target)
        try:
            uses = read_statistics(self._engine, project.own)
        except OutsideError as error:
            return StatisticsRead(uses=(), why=str(error), at=datetime.now(UTC))
        return StatisticsRead(uses=uses, why="" if uses else "no container runs", at=datetime.now(UTC))

    @activity.defn
    async def await_service(self, awaited: AwaitedService) -> Settled:
        """Wait until the service's containers run and are healthy, are known not to get there, or the time is up."""
        progress = Progress()
        return await handing_over(self._follow(awaited, progress), lambda: progress.summary)

    async def _follow(self, awaited: AwaitedService, progress: Progress) -> Settled:
        last: Settled | None = None
        while True:
            seen = await self._look(awaited, progress)
            if seen and last and seen.ok is last.ok:
                return seen
            last = seen
            await asyncio.sleep(LOOKS.total_seconds())

    async def _look(self, awaited: AwaitedService, progress: Progress) -> Settled | None:
        """Look once; while the engine does not answer, say so and keep asking until the time is up."""
        try:
            project = await asyncio.to_thread(
                read_project, self._engine, awaited.target, service=awaited.service
            )
        except OutsideError as error:
            if not error.retryable:
                raise
            progress.summary = str(error)
            return judge_settled(awaited, None, str(error), datetime.now(UTC))
        progress.summary = "; ".join(item.summary for item in project.own)
        return judge_settled(awaited, project.own, progress.summary, project.at)


def ping(engine: Engine) -> str:
    """Return the Docker engine's name and version; blocks.

    Raises:
        OutsideError: it is not there, or may not be used; the message has the fix.
    """
    with engine.client("ask the Docker engine for its version") as docker:
        version = docker.version()
    platform = (version.get("Platform") or {}).get("Name") or "Docker engine"
    return f"{platform} {version.get('Version', '')}".strip()
