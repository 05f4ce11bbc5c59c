"""The simulated ECS as one object: its actions and its control loop."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable

from sandbox.ecs.actions.clusters import ClusterActions, TaskActions
from sandbox.ecs.actions.services import ServiceActions, ServiceDeploymentActions
from sandbox.ecs.actions.tagging import TagActions
from sandbox.ecs.actions.task_definitions import TaskDefinitionActions
from sandbox.ecs.deployments import rollout, scheduler, shifting
from sandbox.ecs.deployments.life import REPLACED, TaskLives
from sandbox.ecs.limits import Pace
from sandbox.ecs.model import Cluster, Service, Traffic
from sandbox.ecs.names import ApiError, Fields, Names
from sandbox.ecs.protocol import Throttle, checked, operation
from sandbox.ecs.store import Store
from sandbox.machine.tasks import TaskRunner

TICK_SECONDS = 0.1
KEPT_SECONDS = 3600.0
"""How long a stopped task can still be described."""


class SimulatedEcs:
    """The control plane of Amazon ECS for one account and region, on tasks that a runner really starts."""

    def __init__(
        self,
        runner: TaskRunner,
        *,
        region: str = "us-east-1",
        account: str = "123456789012",
        log: Callable[[str], None] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.names = Names(region, account)
        self.throttle = Throttle()
        self._log = log or _to_stderr
        self._changed = asyncio.Event()
        self._store = Store(self.names, runner.digest_of)
        self._pace = pace or Pace()
        self._runner = runner
        self.hook_answers: dict[str, str] = {}
        """What Lambda hooks answer, by stage; SUCCEEDED where nothing is set."""
        self.alarms: dict[str, str] = {}
        """The states of CloudWatch alarms, by name."""
        self._lives = TaskLives(runner, self.names, self._pace, wake=self._changed.set, log=self._log)
        self._actions = self._table()

    def _table(self) -> dict[str, Callable[[Fields], Fields]]:
        clusters, definitions = ClusterActions(self._store), TaskDefinitionActions(self._store)
        services, deployments = ServiceActions(self._store, self._pace), ServiceDeploymentActions(self._store)
        tasks, tags = TaskActions(self._store, self._lives), TagActions(self._store)
        return {
            "CreateCluster": clusters.create,
            "DescribeClusters": clusters.describe,
            "ListClusters": clusters.list,
            "UpdateCluster": clusters.update,
            "DeleteCluster": clusters.delete,
            "RegisterTaskDefinition": definitions.register,
            "DescribeTaskDefinition": definitions.describe,
            "DeregisterTaskDefinition": definitions.deregister,
            "DeleteTaskDefinitions": definitions.delete,
            "ListTaskDefinitions": definitions.list,
            "ListTaskDefinitionFamilies": definitions.list_families,
            "CreateService": services.create,
            "UpdateService": services.update,
            "DescribeServices": services.describe,
            "ListServices": services.list,
            "DeleteService": services.delete,
            "ListServiceDeployments": deployments.list,
            "DescribeServiceDeployments": deployments.describe,
            "DescribeServiceRevisions": deployments.describe_revisions,
            "StopServiceDeployment": deployments.stop,
            "ContinueServiceDeployment": deployments.continue_after_hook,
            "ListTasks": tasks.list,
            "DescribeTasks": tasks.describe,
            "StopTask": tasks.stop,
            "TagResource": tags.tag,
            "UntagResource": tags.untag,
            "ListTagsForResource": tags.list,
        }

    def services(self) -> list[Service]:
        """Return every service of every cluster."""
        return self._store.services()

    async def call(self, action: str, parameters: Fields) -> Fields:
        """Do one action of the ECS API; members are named and typed as in its JSON.

        Raises:
            ApiError: what AWS would refuse it with.
        """
        if operation("ecs", action) is None:
            raise ApiError("UnknownOperationException", f"ECS has no action {action}.")
        do = self._actions.get(action)
        if do is None:
            raise ApiError("UnsupportedFeatureException", f"{action} is not part of the simulated ECS.")
        answer = do(checked("ecs", action, parameters))
        if not action.startswith(("Describe", "List")):
            self._changed.set()
        return answer

    async def run(self) -> None:
        """Control every service until cancelled; then stop all tasks."""
        try:
            while True:
                self._changed.clear()
                self._tick(time.time())
                with contextlib.suppress(TimeoutError):  # asyncio.wait_for may lose a cancellation here
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._changed.wait()
        finally:
            await self.stop_all()

    def _tick(self, now: float) -> None:
        for cluster in self._store.clusters.values():
            for service in cluster.services.values():
                if service.status != "INACTIVE":
                    self._control(service, now)
            _forget_old_tasks(cluster, now)

    def _control(self, service: Service, now: float) -> None:
        for task in service.live_tasks:
            self._lives.observe(service, task, now)
        if service.status == "ACTIVE":
            firing = frozenset(name for name, state in self.alarms.items() if state == "ALARM")
            shifting.advance(service, self.hook_answers, firing, now)
            if shifting.in_charge(service):
                scheduler.schedule_each(service, shifting.wanted_tasks(service), self._lives, now)
            else:
                rollout.advance(service, self._pace, firing, now)
                scheduler.schedule(service, self._lives, now)
            traffic = service.traffic or Traffic({}, {})
            self._runner.route(service.cluster.name, service.name, traffic.production, traffic.test)
            return
        for task in service.live_tasks:  # DRAINING
            self._lives.stop(task, REPLACED, "Service was deleted")
        if not service.live_tasks:
            service.status = "INACTIVE"
            service.deployments.clear()

    async def stop_all(self) -> None:
        """Stop every task and wait until its process is gone."""
        tasks = [task for cluster in self._store.clusters.values() for task in cluster.tasks.values()]
        for task in tasks:
            self._lives.stop(task, "UserInitiated", "The sandbox ends")
        jobs = [task.job for task in tasks if task.job is not None and not task.job.done()]
        if jobs:
            await asyncio.wait(jobs)


def _forget_old_tasks(cluster: Cluster, now: float) -> None:
    old = [
        key for key, task in cluster.tasks.items() if task.stopped_at and now - task.stopped_at > KEPT_SECONDS
    ]
    for key in old:
        del cluster.tasks[key]


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
