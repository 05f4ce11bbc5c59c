"""What the simulated ECS remembers. Plain records; what happens is decided elsewhere."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from dataclasses import dataclass, field

from sandbox.ecs.names import Fields
from sandbox.ecs.strategies.plan import Plan
from sandbox.ecs.strategies.shift import ENDED, Shift
from sandbox.machine.tasks import RunningTask

DAEMON_COUNT = 1
"""Tasks of a DAEMON service: the sandbox is one container instance."""


@dataclass(eq=False)
class Cluster:
    """A cluster and what lives in it."""

    name: str
    arn: str
    tags: dict[str, str]
    settings: Fields
    """``settings``, ``capacityProviders`` and the like, as they were given."""
    services: dict[str, Service] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    status: str = "ACTIVE"

    @property
    def room(self) -> int | None:
        """How many more tasks fit; None without the tag ``sandbox:max-tasks``."""
        most = self.tags.get("sandbox:max-tasks", "")
        if not most.isdigit():
            return None
        placed = sum(1 for task in self.tasks.values() if task.placed and task.last_status != "STOPPED")
        return int(most) - placed


@dataclass(eq=False)
class TaskDefinition:
    """One revision of a family."""

    family: str
    revision: int
    arn: str
    fields: Fields
    tags: dict[str, str]
    registered_at: float
    status: str = "ACTIVE"
    deregistered_at: float | None = None
    delete_requested_at: float | None = None

    @property
    def name(self) -> str:
        """``family:revision``."""
        return f"{self.family}:{self.revision}"

    @property
    def container(self) -> Fields:
        """The essential container: the only one that the sandbox runs."""
        containers: list[Fields] = self.fields["containerDefinitions"]
        return next((item for item in containers if item.get("essential", True)), containers[0])


@dataclass(eq=False)
class Revision:
    """A service revision: what a deployment brings to life."""

    number: str
    arn: str
    task_definition: TaskDefinition
    config: Fields
    """The service's fields that AWS rolls a deployment for."""
    digests: dict[str, str]
    """What each container's image stood for when the revision was made: all of its tasks run that."""
    created_at: float
    target_group: str = ""
    """The ARN of the target group that its tasks are in; empty without one."""


@dataclass(eq=False)
class Deployment:
    """An entry of a service's ``deployments[]``."""

    number: str
    revision: Revision
    created_at: float
    updated_at: float
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    reason: str = ""
    failed_tasks: int = 0
    deaths_in_a_row: int = 0
    """Deaths since a task last lived long; they space out the next starts."""
    next_start: float = 0.0
    good_since: float | None = None
    """Since when all that completion asks for has held."""
    wanted: int = 0
    """How many tasks the scheduler gives it; fewer and fewer once a newer deployment takes over."""

    @property
    def id(self) -> str:
        """``ecs-svc/<number>``."""
        return f"ecs-svc/{self.number}"


@dataclass
class Rollback:
    """Why and whereto a service deployment goes back."""

    reason: str
    started_at: float
    revision: Revision


@dataclass(eq=False)
class ServiceDeployment:
    """One attempt to bring a service to a revision, from request to end."""

    id: str
    arn: str
    target: Revision
    sources: list[Revision]
    deployment_configuration: Fields
    created_at: float
    updated_at: float
    status: str = "PENDING"
    reason: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    stopped_at: float | None = None
    rollback: Rollback | None = None
    breaker_tripped: bool = False
    failures: int = 0
    threshold: int = 3
    counts: dict[str, Fields] = field(default_factory=dict)
    """Task counts by revision as they were at the end."""
    plan: Plan = Plan()  # noqa: RUF009 - frozen
    """Its alarms and waits."""
    ignored_alarms: frozenset[str] = frozenset()
    """Those that fired at its start."""
    triggered: list[str] = field(default_factory=list)
    """Names of the alarms that ended it."""
    shift: Shift | None = None
    """What it does where its strategy shifts traffic."""
    green: Deployment | None = None
    blue: Deployment | None = None
    """What serves until traffic is shifted, and again after a rollback."""
    shown: tuple[object, ...] = ()
    """State, stage and weights when it was last updated."""

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


@dataclass(eq=False)
class Task:
    """A task, visible for an hour after its end."""

    id: str
    arn: str
    service: str
    deployment: Deployment
    started_by: str
    tags: dict[str, str]
    created_at: float
    last_status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    placed: bool = False
    running: RunningTask | None = None
    job: asyncio.Task[None] | None = None
    pull_started_at: float | None = None
    started_at: float | None = None
    stopping_at: float | None = None
    stopped_at: float | None = None
    stop_code: str | None = None
    stopped_reason: str | None = None
    exit_code: int | None = None
    container_reason: str | None = None
    was_healthy: bool = False
    healthy: bool | None = None

    @property
    def live(self) -> bool:
        """Whether it still occupies its place."""
        return self.last_status != "STOPPED"

    @property
    def stays(self) -> bool:
        """Whether it lives and nobody asked it to end."""
        return self.live and self.desired_status == "RUNNING"

    @property
    def good(self) -> bool:
        """Whether it serves: running, healthy and meant to stay."""
        return self.stays and self.last_status == "RUNNING" and self.healthy is True


@dataclass
class Traffic:
    """How a service's rules spread requests: percent by target group."""

    production: dict[str, float]
    test: dict[str, float]


@dataclass(eq=False)
class Service:
    """A service and its history."""

    name: str
    arn: str
    cluster: Cluster
    config: Fields
    desired: int
    tags: dict[str, str]
    created_at: float
    status: str = "ACTIVE"
    deployments: list[Deployment] = field(default_factory=list)
    service_deployments: list[ServiceDeployment] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    last_completed: Deployment | None = None
    events: deque[Fields] = field(default_factory=lambda: deque(maxlen=100))
    steady: bool = False
    traffic: Traffic | None = None
    """None before a deployment shifted traffic."""
    said_at: dict[str, float] = field(default_factory=dict)
    """When a message that AWS repeats was last said."""

    @property
    def primary(self) -> Deployment | None:
        """The newest deployment; none before an EXTERNAL controller made a task set."""
        return next((deployment for deployment in self.deployments if deployment.status == "PRIMARY"), None)

    @property
    def controller(self) -> str:
        """``ECS``, ``CODE_DEPLOY`` or ``EXTERNAL``."""
        return str(self.config["deploymentController"]["type"])

    @property
    def current(self) -> ServiceDeployment | None:
        """The newest service deployment."""
        return self.service_deployments[-1] if self.service_deployments else None

    @property
    def tasks(self) -> list[Task]:
        """Its tasks, the ended ones included, oldest first."""
        return [task for task in self.cluster.tasks.values() if task.service == self.name]

    @property
    def live_tasks(self) -> list[Task]:
        """Its tasks that have not ended."""
        return [task for task in self.tasks if task.live]

    def say(self, message: str, now: float, *, every: float = 0.0) -> None:
        """Add an event, unless the same was said less than ``every`` seconds ago."""
        if every and now - self.said_at.get(message, 0.0) < every:
            return
        self.said_at[message] = now
        event = {"id": str(uuid.uuid4()), "createdAt": now, "message": f"(service {self.name}) {message}"}
        self.events.appendleft(event)
