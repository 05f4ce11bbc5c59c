"""One service on its platform: what procedures read of it at ECS, or its containers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from activities.autoscaling.activities import ScalingActivities
from activities.cloudwatch.queues import read_queue, window_of
from activities.cloudwatch.traffic import Ways, read_figures
from activities.cloudwatch.utilization import read_averages
from activities.docker.reading import read_project
from activities.doctor.looking import NotSetError, WrongError
from activities.ecs.activities import EcsActivities
from activities.ecs.tasks import describe_service
from activities.elb.groups import describe_groups, describe_health
from runbook_model.catalog.target import Target
from runbook_model.measured.publishing import published, published_late
from runbook_model.measured.queueing import queue_reading
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import ServiceState
from runbook_model.text.sentences import count_of

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients
    from activities.measuring.sources import Sources

T = TypeVar("T")

MINUTE = timedelta(minutes=1)


@dataclass
class ServiceLook:
    """A look at one service; what was read on the way is kept, to be judged."""

    sources: Sources
    target: Target
    service: ServiceState | None = None
    history: ReleaseHistory | None = None

    @property
    def clients(self) -> AwsClients:
        """The clients of AWS."""
        return self.sources.aws

    def set(self, value: T | None, key: str) -> T:
        """Return what the catalog sets; where it sets nothing, there is nothing to look at."""
        if value is None:
            raise NotSetError(f"no {key} in {self.target.table}")
        return value


def read_service(look: ServiceLook) -> str:
    """Look for the service where it runs; it must be there, and be wanted."""
    if look.target.platform == "compose":
        return _read_containers(look)
    name, cluster = look.target.ecs_service, look.target.cluster
    look.service = found = describe_service(look.clients, look.target)
    if found.status != "ACTIVE":
        raise WrongError(f"{name} is {found.status}")
    if found.desired == 0:
        raise WrongError(
            f"{name} wants 0 tasks, so nothing runs",
            f"aws ecs update-service --cluster {cluster} --service {name} --desired-count COUNT",
        )
    return f"{name} is ACTIVE, {found.counts}"


def _read_containers(look: ServiceLook) -> str:
    project = read_project(look.sources.engine, look.target)
    text = "; ".join(item.summary for item in project.own)
    if not any(item.serves for item in project.own):
        raise WrongError(
            f"no container of it serves: {text}", f"runbook start service-down {look.target.key}"
        )
    return text


def read_history(look: ServiceLook) -> str:
    """Read the service's deployments, as a rollback does."""
    look.history = found = EcsActivities(look.clients).read_history(look.target)
    return f"{count_of(len(found.deployments), 'service deployment')} can be read"


def read_tasks(look: ServiceLook) -> str:
    """List and describe tasks."""
    ecs, where = look.clients.ecs(look.target.account), look.target
    with look.clients.naming_errors("list the tasks"):
        listed = ecs.list_tasks(cluster=where.cluster, serviceName=where.ecs_service, maxResults=1)
    if not listed["taskArns"]:
        return "can be listed; there is none to describe"
    with look.clients.naming_errors("describe a task"):
        found = ecs.describe_tasks(cluster=where.cluster, tasks=listed["taskArns"])["tasks"]
    return "can be listed and described" if found else "can be listed; there is none to describe"


def list_task_definitions(look: ServiceLook) -> str:
    """List a task definition."""
    with look.clients.naming_errors("list task definitions"):
        look.clients.ecs(look.target.account).list_task_definitions(status="ACTIVE", maxResults=1)
    return "can be listed"


def read_capacity(look: ServiceLook) -> str:
    """Read counts and the bounds of autoscaling."""
    found = ScalingActivities(look.clients).read_capacity(look.target)
    return found.summary if found.managed else f"{found.summary}; autoscaling does not manage it"


def read_logs(look: ServiceLook) -> str:
    """Read a line of the log group."""
    group = look.set(look.target.log_group, "log_group")
    since = datetime.now(UTC) - MINUTE
    with look.clients.naming_errors(f"read the log group {group}"):
        look.clients.logs(look.target.account).filter_log_events(
            logGroupName=group, startTime=round(since.timestamp() * 1000), limit=1
        )
    return f"{group} can be read"


def read_cloudwatch(look: ServiceLook) -> str:
    """Read the service's CPU, and its queue's figures where it has one."""
    now = datetime.now(UTC)
    found = read_averages(look.clients, look.target, "CPUUtilization", now)
    said = (
        f"{count_of(len(found), 'sample')} of the last hour"
        if found
        else "can be read; it has no samples of the last hour"
    )
    if look.target.queue is None:
        return said
    figures = read_queue(look.clients, look.target, window_of(look.target, now))
    if figures.age:
        return f"{said}; {queue_reading(figures, look.target, '', now).detail}"
    where = f"its name in {look.target.table} is wrong, or it was idle for six hours"
    return f"{said}; nothing of the queue {look.target.queue}: {where}"


def read_balancers(look: ServiceLook) -> str:
    """Read the figures of the service's load balancers and of Service Connect, and the health of its targets."""
    clients, target = look.clients, look.target
    if not published_late(target):
        raise NotSetError("evidence in the catalog leaves it out")
    service = describe_service(clients, target)
    arns = service.target_groups if target.has("load-balancer") else ()
    found = describe_groups(clients, target, arns) if arns else ()
    groups = tuple(group for group in found if group.balancer_name.startswith("app/"))
    names = service.discovery_names if target.has("service-connect") else ()
    if not groups and not names:
        raise NotSetError("no application load balancer is in front of the service, nor Service Connect")
    window = published(target.verify, datetime.now(UTC) - target.verify.lag)
    figures, connect = read_figures(clients, target, Ways(groups, names), window)
    if why := figures.why or connect.why:
        raise WrongError(why)
    said = []
    if groups:
        health = [describe_health(clients, target, group.arn).healthy for group in groups]
        said += [count_of(len(groups), "target group"), count_of(sum(health), "healthy target")]
    if names:
        said.append(f"Service Connect knows it as {', '.join(names)}")
    return f"{', '.join(said)}; figures can be read"
