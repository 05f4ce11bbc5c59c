"""One service on its platform: what procedures read of it at ECS, or its containers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from activities.autoscaling.activities import ScalingActivities
from activities.cloudwatch.queues import read_queue, window_of
from activities.cloudwatch.traffic import Ways, read_figures
from activities.cloudwatch.utilization import read_points
from activities.docker.reading import read_project
from activities.doctor.looking import NotSetError, Question, Threads, WrongError, questions
from activities.ecs.activities import EcsActivities
from activities.ecs.tasks import describe_service
from activities.elb.groups import describe_groups, describe_health
from runbook_model.catalog.target import Target
from runbook_model.measured.publishing import published, published_late
from runbook_model.measured.queueing import queue_reading
from runbook_model.releases.release import ReleaseHistory, ServiceState
from runbook_model.text.sentences import count_of

if TYPE_CHECKING:
    from activities.measuring.sources import Sources

P = ParamSpec("P")
T = TypeVar("T")

NOT_ON_ECS = "it does not run on ECS"
MINUTE = timedelta(minutes=1)


class ServiceQuestions:
    """The questions about one service; what was read on the way is kept, to be judged."""

    def __init__(self, sources: Sources, threads: Threads, target: Target) -> None:
        self._clients = sources.aws
        self._engine = sources.engine
        self._threads = threads
        self._target = target
        self._table = f"[services.{target.service}.{target.environment}]"
        self.service: ServiceState | None = None
        self.history: ReleaseHistory | None = None

    def all(self) -> list[Question]:
        """Return them all."""
        functions = {
            "service": self.read_service,
            "deployments": self.read_history,
            "tasks": self.read_tasks,
            "task-definitions": self.list_task_definitions,
            "autoscaling": self.read_capacity,
            "log-group": self.read_logs,
            "cloudwatch": self.read_cloudwatch,
            "load-balancer": self.read_balancers,
        }
        return questions(functions, table=self._table)

    async def read_service(self) -> str:
        """Look for the service where it runs; it must be there, and be wanted."""
        if self._target.platform == "compose":
            return await self._threads.run(self._read_containers)
        name, cluster = self._target.ecs_service, self._target.cluster
        self.service = found = await self._on_ecs(describe_service, self._clients, self._target)
        if found.status != "ACTIVE":
            raise WrongError(f"{name} is {found.status}")
        if found.desired == 0:
            raise WrongError(
                f"{name} wants 0 tasks, so nothing runs",
                f"aws ecs update-service --cluster {cluster} --service {name} --desired-count COUNT",
            )
        return f"{name} is ACTIVE, {found.running} of {found.desired} tasks run"

    async def read_history(self) -> str:
        """Read the service's deployments, as a rollback does."""
        self.history = found = await self._on_ecs(EcsActivities(self._clients).read_history, self._target)
        count = len(found.deployments)
        return f"{count_of(count, 'service deployment')} can be read"

    async def read_tasks(self) -> str:
        """List and describe tasks."""
        return await self._on_ecs(self._describe_tasks)

    async def list_task_definitions(self) -> str:
        """List a task definition."""
        return await self._on_ecs(self._list_task_definitions)

    async def read_capacity(self) -> str:
        """Read counts and the bounds of autoscaling."""
        found = await self._on_ecs(ScalingActivities(self._clients).read_capacity, self._target)
        return found.summary if found.managed else f"{found.summary}; autoscaling does not manage it"

    async def read_logs(self) -> str:
        """Read a line of the log group."""
        if self._target.log_group is None:
            raise NotSetError(f"no log_group in {self._table}")
        return await self._threads.run(self._filter_logs, self._target.log_group)

    async def read_cloudwatch(self) -> str:
        """Read the service's CPU, and its queue's figures where it has one."""
        found = await self._on_ecs(
            read_points, self._clients, self._target, "CPUUtilization", datetime.now(UTC)
        )
        said = (
            f"{count_of(len(found), 'sample')} of the last hour"
            if found
            else "can be read; it has no samples of the last hour"
        )
        return f"{said}; {await self._threads.run(self._read_queue)}" if self._target.queue else said

    def _read_queue(self) -> str:
        now = datetime.now(UTC)
        figures = read_queue(self._clients, self._target, window_of(self._target, now))
        if figures.age:
            return queue_reading(figures, self._target, "", now).detail
        name = self._target.queue
        return (
            f"nothing of the queue {name}: its name in {self._table} is wrong, or it was idle for six hours"
        )

    async def read_balancers(self) -> str:
        """Read the figures of the service's load balancers and of Service Connect, and the health of its targets."""
        if self._target.platform != "ecs":
            raise NotSetError(NOT_ON_ECS)
        if not published_late(self._target):
            raise NotSetError("evidence in the catalog leaves it out")
        return await self._threads.run(self._read_balancers)

    def _read_balancers(self) -> str:
        service, has = describe_service(self._clients, self._target), self._target.has
        arns = service.target_groups if has("load-balancer") else ()
        found = describe_groups(self._clients, self._target, arns) if arns else ()
        groups = tuple(group for group in found if group.balancer_name.startswith("app/"))
        names = service.discovery_names if has("service-connect") else ()
        if not groups and not names:
            raise NotSetError("no application load balancer is in front of the service, nor Service Connect")
        window = published(self._target.verify, datetime.now(UTC) - self._target.verify.lag)
        figures, connect = read_figures(self._clients, self._target, Ways(groups, names), window)
        if why := figures.why or connect.why:
            raise WrongError(why)
        said = []
        if groups:
            health = [describe_health(self._clients, self._target, group.arn).healthy for group in groups]
            said += [count_of(len(groups), "target group"), count_of(sum(health), "healthy target")]
        if names:
            said.append(f"Service Connect knows it as {', '.join(names)}")
        return f"{', '.join(said)}; figures can be read"

    async def _on_ecs(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._target.platform != "ecs":
            raise NotSetError(NOT_ON_ECS)
        return await self._threads.run(function, *args, **kwargs)

    def _describe_tasks(self) -> str:
        ecs, where = self._clients.ecs(self._target.account), self._target
        with self._clients.naming_errors("list the tasks"):
            arns = ecs.list_tasks(cluster=where.cluster, serviceName=where.ecs_service, maxResults=1)[
                "taskArns"
            ]
        with self._clients.naming_errors("describe a task"):
            found = ecs.describe_tasks(cluster=where.cluster, tasks=arns)["tasks"] if arns else []
        return "can be listed and described" if found else "can be listed; there is none to describe"

    def _list_task_definitions(self) -> str:
        with self._clients.naming_errors("list task definitions"):
            self._clients.ecs(self._target.account).list_task_definitions(status="ACTIVE", maxResults=1)
        return "can be listed"

    def _filter_logs(self, group: str) -> str:
        since = datetime.now(UTC) - MINUTE
        with self._clients.naming_errors(f"read the log group {group}"):
            self._clients.logs(self._target.account).filter_log_events(
                logGroupName=group, startTime=round(since.timestamp() * 1000), limit=1
            )
        return f"{group} can be read"

    def _read_containers(self) -> str:
        project = read_project(self._engine, self._target)
        text = "; ".join(item.summary for item in project.own)
        if not any(item.serves for item in project.own):
            raise WrongError(
                f"no container of it serves: {text}", f"runbook start service-down {self._target.key}"
            )
        return text
