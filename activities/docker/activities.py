"""Compose projects on one machine, through the Docker Engine API: what runs, what it uses, the wait for it, and the one change: a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.docker.reading import judge_settled, read_project, read_statistics
from activities.runtime.fence import Standing, fenced, knowing_who_asks, sending
from activities.runtime.waiting import Progress, handing_over
from runbook_model.catalog.target import Target
from runbook_model.containers import (
    ENGINE_TIMEOUT,
    STOP_GRACE,
    AwaitedService,
    Container,
    ContainerFence,
    ProjectRead,
    Restarted,
    RestartService,
    Settled,
    StatisticsRead,
)
from runbook_model.errors import (
    DriftedError,
    EngineFailedError,
    OutsideError,
    PolicyError,
    RejectedError,
    UnknownReplyError,
)

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


class ComposeChanges:
    """Changes of a compose project. Temporal may run any of them again; a container is restarted once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @activity.defn
    def restart_service(self, change: RestartService) -> Restarted:
        """Restart a service's containers, those that no earlier attempt restarted; a container created again is left alone."""
        info = activity.info()
        sent_before = info.attempt > 1 and any(info.heartbeat_details)
        with fenced(ENGINE_TIMEOUT):
            now = {item.id: item for item in self._read(change)}
            stands = {
                fence.id: standing(fence, now.get(fence.id), may_be_ours=info.attempt > 1)
                for fence in change.fence
            }
            if Standing.DRIFTED in stands.values():
                raise DriftedError(_drift(change, tuple(now.values())))
            self._check_belongs(change)
            left = [now[id_] for id_, how in stands.items() if how is Standing.UNCHANGED]
            if left and sent_before:
                raise UnknownReplyError(
                    f"a restart of {_names(left)} was sent, no answer came and none is to be seen; it is not sent "
                    "again",
                    fix="look at the container and start again",
                )
            if left:
                self._restart(left)
        # From here on it is made: an error of this last look must not say otherwise.
        adopted = tuple(now[id_].name for id_, how in stands.items() if how is Standing.OURS)
        wanted = {fence.id for fence in change.fence}
        after = tuple(item for item in self._read(change) if item.id in wanted)
        return Restarted(containers=after, adopted=adopted, at=datetime.now(UTC))

    def _read(self, change: RestartService) -> tuple[Container, ...]:
        return read_project(self._engine, change.target, service=change.service).own

    def _check_belongs(self, change: RestartService) -> None:
        """Let a service pass that is the target's own, its database, or what it depends on.

        Raises:
            PolicyError: it is another service of the project.
        """
        target = change.target
        if change.service == target.compose_service:
            return
        project = read_project(self._engine, target)
        database = target.database.compose_service if target.database else None
        if change.service not in {database, *project.dependencies}:
            raise PolicyError(
                f"{change.service} is neither {target.compose_service} nor what that depends on",
                fix="correct compose_service in the catalog",
            )

    def _restart(self, containers: Sequence[Container]) -> None:
        """Restart all of them at the same time, as compose does, so that it takes no longer than one."""
        with sending(ENGINE_TIMEOUT), ThreadPoolExecutor(len(containers)) as threads:
            tried = [
                threads.submit(knowing_who_asks(self._restart_one, container)) for container in containers
            ]
            failed = [error for item in tried if isinstance(error := item.exception(), OutsideError)]
            if failed:
                failed[0].may_have_landed |= len(failed) < len(tried) or any(
                    item.may_have_landed for item in failed
                )
                raise failed[0]
            for item in tried:
                item.result()

    def _restart_one(self, container: Container) -> None:
        try:
            with self._engine.client(f"restart the container {container.name}") as docker:
                docker.api.restart(container.id, timeout=round(STOP_GRACE.total_seconds()))
        except EngineFailedError as error:
            # It has answered, so nothing more comes of it; but it may have stopped what it could not start.
            raise RejectedError(
                f"{error.message}; it may be stopped now", fix=error.fix, may_have_landed=True
            ) from error


def standing(fence: ContainerFence, now: Container | None, *, may_be_ours: bool) -> Standing:
    """Say whether a container is still to be restarted.

    Args:
        fence: what was recorded when the plan was made.
        now: a fresh reading; None when the container is gone.
        may_be_ours: whether an earlier attempt may have restarted it already.
    """
    if now is None:
        return Standing.DRIFTED
    if now.started == fence.started:
        return Standing.UNCHANGED
    if may_be_ours:
        return Standing.OURS
    # What its restart policy starts again after each crash was restarted by nobody.
    return Standing.UNCHANGED if now.restarts > fence.restarts else Standing.DRIFTED


def _drift(change: RestartService, now: tuple[Container, ...]) -> str:
    seen = "; ".join(f"{item.name} runs since {item.started or 'never'}" for item in now)
    return (
        f"somebody else restarted {change.service} or made its containers again after the plan was made "
        f"({seen}); theirs are left alone"
    )


def _names(containers: Sequence[Container]) -> str:
    return ", ".join(container.name for container in containers)
