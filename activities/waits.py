"""Long waits: activities that hold no thread and no history while they wait, and go on elsewhere when their worker dies."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.catalog import Target
from activities.ecs_reading import read_service_deployment, read_service_state
from activities.errors import InputError, RunbookError
from activities.models import Fact, Fence, Release, ServiceDeployment, ServiceState
from activities.rollout import Awaited, Phase, Rollout, judge_rollout
from activities.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from activities.clients import Clients

STEADY_READINGS = 2
"""Readings in a row that must be steady, and failed or superseded ones likewise: one alone may be a moment's picture."""

T = TypeVar("T")


class AwaitedDrift(Fact):
    """A state that is expected to stay while a person decides."""

    target: Target
    fence: Fence


class AwaitedTasks(Fact):
    """So many tasks of a service that shall run."""

    target: Target
    count: int
    deadline: datetime


class Waits:
    """Waits for ECS, through one watcher for each region and cluster."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._watchers: dict[tuple[str, str], Watcher] = {}

    @activity.defn
    async def await_steady_state(self, awaited: Awaited) -> Rollout:
        """Wait until the deployment is steady, has failed, is superseded, or its time is up."""
        progress = Progress()
        return await handing_over(self._follow(awaited, progress), progress)

    @activity.defn
    async def await_drift(self, awaited: AwaitedDrift) -> ServiceState:
        """Wait until the service is no longer as the plan saw it."""
        progress = Progress()
        return await handing_over(self._until_drift(awaited, progress), progress)

    @activity.defn
    async def await_tasks(self, awaited: AwaitedTasks) -> ServiceState:
        """Wait until at least so many tasks run, or the time is up: the caller looks which."""
        progress = Progress()
        return await handing_over(self._until_running(awaited, progress), progress)

    async def _until_running(self, awaited: AwaitedTasks, progress: Progress) -> ServiceState:
        while True:
            service = await self._next(awaited.target, progress)
            progress.told = f"{service.running} of {awaited.count} tasks run"
            if service.running >= awaited.count or datetime.now(UTC) >= awaited.deadline:
                return service

    async def _follow(self, awaited: Awaited, progress: Progress) -> Rollout:
        last: Rollout | None = None
        alike = 0
        # What was seen once is confirmed even after the deadline: the worker may have been away until then.
        while last is None or alike or datetime.now(UTC) < awaited.deadline:
            service = await self._next(awaited.target, progress, soon=alike > 0)
            seen = await self._judge(awaited, service)
            alike = alike + 1 if last and seen.phase is last.phase else 1
            if seen.phase not in {Phase.PROGRESSING, Phase.UNKNOWN}:
                if alike >= STEADY_READINGS:
                    return seen
            else:
                alike = 0
            last = seen
            if seen.service_deployment != awaited.service_deployment:
                awaited = awaited.model_copy(update={"service_deployment": seen.service_deployment})
            progress.told = seen.detail
        return last.model_copy(update={"phase": Phase.STUCK, "detail": f"not steady in time: {last.detail}"})

    async def _judge(self, awaited: Awaited, service: ServiceState) -> Rollout:
        primary = service.primary
        if awaited.kind == "deployment" and primary and primary.id == awaited.deployment:
            # While our deployment is PRIMARY the service's current service deployment is ours: remember which.
            awaited = awaited.model_copy(update={"service_deployment": service.service_deployment})
        seen = judge_rollout(awaited, service)
        if seen.phase is Phase.UNKNOWN and awaited.service_deployment:
            own = await asyncio.to_thread(
                self._service_deployment, awaited.target, awaited.service_deployment
            )
            seen = judge_rollout(awaited, service, own)
        return seen

    async def _until_drift(self, awaited: AwaitedDrift, progress: Progress) -> ServiceState:
        while True:
            service = await self._next(awaited.target, progress)
            if service.fence != awaited.fence:
                return service
            progress.told = "as it was when the plan was made"

    async def _next(self, target: Target, progress: Progress, *, soon: bool = False) -> ServiceState:
        """Return the next reading; while AWS answers badly, say so in the heartbeat and keep asking."""
        watcher = self._watcher(target)
        while True:
            try:
                state = await watcher.next_state(target.ecs_service, soon=soon)
            except RunbookError as error:
                if not error.retryable:
                    raise
                progress.told = str(error)
                continue
            if state is None:
                raise InputError(f"the service {target.ecs_service} is gone from cluster {target.cluster}")
            return state

    def _watcher(self, target: Target) -> Watcher:
        key = target.region, target.cluster
        if key not in self._watchers:

            async def describe(names: tuple[str, ...]) -> dict[str, ServiceState]:
                return await asyncio.to_thread(self._describe, *key, names)

            self._watchers[key] = Watcher(describe)
        return self._watchers[key]

    def _describe(self, region: str, cluster: str, names: tuple[str, ...]) -> dict[str, ServiceState]:
        with self._clients.naming_errors(f"describe the services of {cluster}"):
            answer = self._clients.ecs(region).describe_services(cluster=cluster, services=list(names))
        return {service["serviceName"]: read_service_state(service) for service in answer["services"]}

    def _service_deployment(self, target: Target, arn: str) -> ServiceDeployment | None:
        with self._clients.naming_errors("describe the service deployment"):
            answer = self._clients.ecs(target.region).describe_service_deployments(
                serviceDeploymentArns=[arn]
            )
        found = answer["serviceDeployments"]
        return read_service_deployment(found[0], Release(task_definition="")) if found else None


class Progress:
    """What a wait last saw, for its heartbeat."""

    told = "nothing read yet"


async def handing_over(work: Coroutine[None, None, T], progress: Progress) -> T:
    """Do the work with a steady heartbeat; when this worker shuts down, end at once so that another goes on.

    Raises:
        ApplicationError: retryable and benign, when the worker shuts down.
    """
    patience = activity.info().heartbeat_timeout or timedelta(seconds=30)
    doing = asyncio.ensure_future(work)
    shutdown = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    try:
        while not doing.done() and not shutdown.done():
            activity.heartbeat(progress.told)
            await asyncio.wait(
                {doing, shutdown}, timeout=patience.total_seconds() / 3, return_when=asyncio.FIRST_COMPLETED
            )
        if doing.done():
            return doing.result()
        raise ApplicationError(
            "this worker shuts down; another goes on with the wait",
            type="HandedOver",
            category=ApplicationErrorCategory.BENIGN,
        )
    finally:
        doing.cancel()
        shutdown.cancel()
