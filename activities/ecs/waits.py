"""Long waits: activities that hold no thread and no history while they wait, and continue elsewhere when their worker dies."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.common import MetricMeter

from activities.ecs.reading import read_service_deployment, read_service_state
from activities.ecs.traffic import read_traffic
from activities.ecs.watcher import Budget, Hurry, Watcher
from activities.runtime.waiting import Progress, T, handing_over
from activities.telemetry.metric_names import WATCHER_BATCH
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.target import Target
from runbook_model.errors import InputError, RunbookError
from runbook_model.fact import Fact
from runbook_model.releases.arriving import Traffic, count_serving, judge_shift, judge_traffic
from runbook_model.releases.history import ServiceDeployment
from runbook_model.releases.release import UNDER_WAY, Fence, Release, ServiceState
from runbook_model.releases.rollout import Awaited, Phase, Rollout, judge_rollout
from runbook_model.releases.shifting import Shifting

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

STEADY_READINGS = 2
"""Readings in a row that must be steady, and failed or superseded ones likewise: one alone may be a moment's picture."""

DEPLOYMENTS_BATCH = 20
"""Service deployments that one DescribeServiceDeployments call takes."""


class AwaitedDrift(Fact):
    """A state that is expected to stay while a person decides."""

    target: Target
    fence: Fence
    under_way: str | None = None
    """ARN of the service deployment that must still be under way for the plan to make sense."""


class AwaitedTasks(Fact):
    """So many tasks of a service that shall run."""

    target: Target
    count: int
    deadline: datetime


class Waits:
    """Waits for ECS, through one watcher of services for each cluster and one of service deployments for each account."""

    def __init__(self, clients: AwsClients, meter: MetricMeter = MetricMeter.noop) -> None:
        self._clients = clients
        self._batch = WATCHER_BATCH.on(meter)
        self._services: dict[tuple[Account, str], Watcher[ServiceState]] = {}
        self._service_deployments: dict[Account, Watcher[ServiceDeployment]] = {}
        # Roles of one account share what AWS grants it.
        self._budgets: defaultdict[tuple[str, str], Budget] = defaultdict(Budget)
        self._deployments_budgets: defaultdict[tuple[str, str], Budget] = defaultdict(Budget)

    @activity.defn
    async def await_steady_state(self, awaited: Awaited) -> Rollout:
        """Wait until the deployment is steady, has failed, is superseded, or its time is up."""
        progress = Progress()
        return await handing_over(self._follow(awaited, progress), lambda: progress.summary)

    @activity.defn
    async def await_drift(self, awaited: AwaitedDrift) -> ServiceState:
        """Wait until the service is no longer as the plan saw it."""
        progress = Progress()
        return await handing_over(self._until_drift(awaited, progress), lambda: progress.summary)

    @activity.defn
    async def await_tasks(self, awaited: AwaitedTasks) -> ServiceState:
        """Wait until at least so many tasks run, or the time is up: the caller looks which."""
        progress = Progress()
        return await handing_over(self._until_running(awaited, progress), lambda: progress.summary)

    async def _until_running(self, awaited: AwaitedTasks, progress: Progress) -> ServiceState:
        while True:
            service = await self._with_serving(
                awaited.target, await self._next(awaited.target, progress), progress
            )
            runs = service.running if service.serving is None else service.serving
            progress.summary = f"{runs} of {awaited.count} tasks run"
            if runs >= awaited.count or datetime.now(UTC) >= awaited.deadline:
                return service

    async def _with_serving(self, target: Target, service: ServiceState, progress: Progress) -> ServiceState:
        """Count those tasks that users reach, where two revisions run: the other's do not help."""
        if not service.two_revisions or service.service_deployment is None:
            return service
        watcher = self._deployments_watcher(target.account)
        own = await _ask(watcher, service.service_deployment, progress, Hurry.CONFIRM)
        return service.model_copy(update={"serving": count_serving(service, own)})

    async def _follow(self, awaited: Awaited, progress: Progress) -> Rollout:
        last: Rollout | None = None
        alike = 0
        # What was seen once is confirmed even after the deadline: the worker may have been away until then.
        while last is None or alike or datetime.now(UTC) < awaited.deadline + last.takes:
            hurry = Hurry.CONFIRM if alike else Hurry.USUAL
            service = await self._next(awaited.target, progress, hurry)
            seen = await self._judge(awaited, service, progress)
            alike = alike + 1 if last and seen.phase is last.phase else 1
            if seen.phase not in {Phase.PROGRESSING, Phase.UNKNOWN}:
                if alike >= STEADY_READINGS:
                    return seen
            else:
                alike = 0
            last = seen
            if seen.service_deployment != awaited.service_deployment:
                awaited = awaited.model_copy(update={"service_deployment": seen.service_deployment})
            progress.summary = seen.detail
        return last.model_copy(update={"phase": Phase.STUCK, "detail": f"not steady in time: {last.detail}"})

    async def _judge(self, awaited: Awaited, service: ServiceState, progress: Progress) -> Rollout:
        primary = service.primary
        if awaited.kind == "deployment" and primary and primary.id == awaited.deployment:
            # While our deployment is PRIMARY the service's current service deployment is ours: remember which.
            awaited = awaited.model_copy(update={"service_deployment": service.service_deployment})
        judge = judge_shift if service.shifting else judge_rollout
        seen = judge(awaited, service)
        if seen.phase is Phase.UNKNOWN and awaited.service_deployment:
            # The services' own readings set the pace here.
            watcher = self._deployments_watcher(awaited.target.account)
            own = await _ask(watcher, awaited.service_deployment, progress, Hurry.CONFIRM)
            seen = judge(awaited, service, own)
            if service.shifting and own and seen.phase is Phase.STEADY:
                traffic = await asyncio.to_thread(self._read_traffic, awaited, service.shifting, own)
                seen = judge_traffic(seen, service, traffic)
        return seen

    def _read_traffic(self, awaited: Awaited, shifting: Shifting, own: ServiceDeployment) -> Traffic:
        """Read where traffic goes, where a revision is to have all of it."""
        wanted = own.revision
        if awaited.kind == "rollback":
            wanted = (own.rollback.revision if own.rollback else None) or next(iter(own.sources), "")
        return read_traffic(self._clients, awaited.target, wanted, shifting.rules)

    async def _until_drift(self, awaited: AwaitedDrift, progress: Progress) -> ServiceState:
        while True:
            service = await self._next(awaited.target, progress, Hurry.IDLE)
            if service.fence != awaited.fence or await self._has_ended(awaited, progress):
                return service
            progress.summary = "as it was when the plan was made"

    async def _has_ended(self, awaited: AwaitedDrift, progress: Progress) -> bool:
        """Whether the deployment that the plan would stop is no longer under way, or ends the old release by now."""
        if awaited.under_way is None:
            return False
        # The services' own readings set the pace here.
        watcher = self._deployments_watcher(awaited.target.account)
        own = await _ask(watcher, awaited.under_way, progress, Hurry.CONFIRM)
        return own is None or own.status not in UNDER_WAY or own.cleaning_up

    async def _next(self, target: Target, progress: Progress, hurry: Hurry = Hurry.USUAL) -> ServiceState:
        state = await _ask(self._services_watcher(target), target.ecs_service, progress, hurry)
        if state is None:
            raise InputError(f"the service {target.ecs_service} is gone from cluster {target.cluster}")
        return state

    def _services_watcher(self, target: Target) -> Watcher[ServiceState]:
        key = target.account, target.cluster
        if key not in self._services:

            async def describe(names: tuple[str, ...]) -> dict[str, ServiceState]:
                return await asyncio.to_thread(self._describe_services, *key, names)

            self._services[key] = Watcher(describe, self._budgets[target.account.quota])
        return self._services[key]

    def _deployments_watcher(self, account: Account) -> Watcher[ServiceDeployment]:
        if account not in self._service_deployments:

            async def describe(arns: tuple[str, ...]) -> dict[str, ServiceDeployment]:
                return await asyncio.to_thread(self._describe_deployments, account, arns)

            self._service_deployments[account] = Watcher(
                describe, self._deployments_budgets[account.quota], batch=DEPLOYMENTS_BATCH
            )
        return self._service_deployments[account]

    def _describe_services(
        self, account: Account, cluster: str, names: tuple[str, ...]
    ) -> dict[str, ServiceState]:
        self._batch.record(len(names))
        with self._clients.naming_errors(f"describe the services of {cluster}"):
            answer = self._clients.ecs(account).describe_services(cluster=cluster, services=list(names))
        return {service["serviceName"]: read_service_state(service) for service in answer["services"]}

    def _describe_deployments(self, account: Account, arns: tuple[str, ...]) -> dict[str, ServiceDeployment]:
        with self._clients.naming_errors("describe the service deployment"):
            answer = self._clients.ecs(account).describe_service_deployments(serviceDeploymentArns=list(arns))
        return {
            deployment["serviceDeploymentArn"]: read_service_deployment(
                deployment, Release(task_definition="")
            )
            for deployment in answer["serviceDeployments"]
        }


async def _ask(watcher: Watcher[T], name: str, progress: Progress, hurry: Hurry) -> T | None:
    """Return the next reading; while AWS answers badly, say so in the heartbeat and keep asking."""
    while True:
        try:
            return await watcher.next_state(name, hurry)
        except RunbookError as error:
            if not error.retryable:
                raise
            progress.summary = str(error)
