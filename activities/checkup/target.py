"""One service: what procedures read of it, its addresses, its Terraform module, its database."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from activities.checkup.looking import NotSetError, Question, WrongError
from activities.checkup.module import SECONDS as TERRAFORM_SECONDS
from activities.checkup.module import validate
from activities.checkup.queries import NEEDED, queries_of
from activities.database import DatabaseActivities
from activities.ecs import EcsActivities, describe_service
from activities.errors import OutsideError
from activities.http_errors import http_errors
from activities.prometheus import NoData, Prometheus
from activities.scaling import ScalingActivities
from activities.scrape import parse
from activities.utilization import read_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from activities.catalog import Target
    from activities.checkup.looking import Threads
    from activities.clients import Clients
    from activities.models import ReleaseHistory, ServiceState

P = ParamSpec("P")
T = TypeVar("T")

NOT_ON_ECS = "it does not run on ECS"
MINUTE = timedelta(minutes=1)
POLICY = "allow the worker's role what deploy/iam-policy.json lists"


class TargetQuestions:
    """The questions about one service; what was read on the way is kept, to be judged."""

    def __init__(self, clients: Clients, http: httpx.AsyncClient, threads: Threads, target: Target) -> None:
        self._clients = clients
        self._http = http
        self._threads = threads
        self._target = target
        self._table = f"[services.{target.service}.{target.environment}]"
        self.service: ServiceState | None = None
        self.history: ReleaseHistory | None = None

    def all(self) -> list[Question]:
        """Return them all."""
        return [
            Question("service", self.read_service, f"mend ecs_service in {self._table}"),
            Question("deployments", self.read_history, POLICY),
            Question("tasks", self.read_tasks, POLICY),
            Question("task-definitions", self.list_task_definitions, POLICY),
            Question("autoscaling", self.read_capacity, POLICY),
            Question("log-group", self.read_logs, f"mend log_group in {self._table}"),
            Question("cloudwatch", self.read_cloudwatch, POLICY),
            Question("health", self.read_health, f"mend url in {self._table}"),
            Question(
                "metrics",
                self.read_metrics,
                "let the service export its metrics: see Metrics in docs/doctor.md",
            ),
            Question("terraform", self.validate_module, "look with terraform validate", TERRAFORM_SECONDS),
            Question(
                "database", self.connect, "start the database, or mend its DSN in the worker's environment"
            ),
        ]

    def queries(self) -> list[Question]:
        """Return one for each query of PromQL, where there is a Prometheus to ask."""
        if self._target.prometheus_url is None:
            return []
        prometheus = Prometheus(self._http, self._target.prometheus_url)
        return [self._query(prometheus, *named) for named in queries_of(self._target).items()]

    async def read_service(self) -> str:
        """Describe the service; it must be ACTIVE and want tasks."""
        self.service = found = await self._on_ecs(describe_service, self._clients, self._target)
        start = f"runbook start service-down --service {self._target.service} --environment {self._target.environment}"
        if found.status != "ACTIVE":
            raise WrongError(f"{self._target.ecs_service} is {found.status}")
        if found.desired == 0:
            raise WrongError(
                f"{self._target.ecs_service} wants 0 tasks, so nothing runs",
                f"set its desired count; {start}",
            )
        return f"{self._target.ecs_service} is ACTIVE, {found.running} of {found.desired} tasks run"

    async def read_history(self) -> str:
        """Read the service's deployments, as a rollback does."""
        self.history = found = await self._on_ecs(EcsActivities(self._clients).read_history, self._target)
        count = len(found.deployments)
        return f"{count} service {'deployment' if count == 1 else 'deployments'} can be read"

    async def read_tasks(self) -> str:
        """List and describe tasks."""
        return await self._on_ecs(self._describe_tasks)

    async def list_task_definitions(self) -> str:
        """List a task definition."""
        return await self._on_ecs(self._list_task_definitions)

    async def read_capacity(self) -> str:
        """Read counts and the bounds of autoscaling."""
        found = await self._on_ecs(ScalingActivities(self._clients).read_capacity, self._target)
        return found.told if found.managed else f"{found.told}; autoscaling does not manage it"

    async def read_logs(self) -> str:
        """Read a line of the log group."""
        if self._target.log_group is None:
            raise NotSetError(f"no log_group in {self._table}")
        return await self._threads.run(self._filter_logs, self._target.log_group)

    async def read_cloudwatch(self) -> str:
        """Read the service's CPU."""
        found = await self._on_ecs(
            read_statistics, self._clients, self._target, "CPUUtilization", datetime.now(UTC)
        )
        if found.quality == "error":
            raise OutsideError(found.why)
        return (
            f"{len(found.points)} samples of the last hour" if found.points else f"can be read; {found.why}"
        )

    async def read_health(self) -> str:
        """Ask the service's address for its health."""
        address = f"{self._url()}/health"
        with _naming(address), http_errors("ask for the health"):
            status = (await self._http.get(address)).status_code
        if status >= 500:
            names = f"--service {self._target.service} --environment {self._target.environment}"
            raise WrongError(
                f"{address} answers {status}: the service itself is ill",
                f"runbook start service-down {names}",
            )
        if not 200 <= status < 300:
            raise WrongError(f"{address} answers {status}")
        return f"{address} answers {status}"

    async def read_metrics(self) -> str:
        """Scrape the service itself, as is done when Prometheus is away."""
        address = f"{self._url()}/metrics"
        with _naming(address), http_errors("scrape it"):
            response = await self._http.get(address)
            response.raise_for_status()
        found = parse(response.text, datetime.now(UTC))
        if found.process is None:
            raise WrongError(f"{address} has no process_start_time_seconds, so tasks cannot be told apart")
        return f"{address} answers"

    async def validate_module(self) -> str:
        """Validate the Terraform module."""
        if self._target.terraform is None:
            raise NotSetError(f"no terraform in {self._table}")
        return await validate(self._target.terraform.directory)

    async def connect(self) -> str:
        """Connect to the database."""
        if self._target.database is None:
            raise NotSetError(f"no database in {self._table}")
        connected = await self._threads.run(DatabaseActivities(self._clients).test_connection, self._target)
        if not connected.ok:
            raise WrongError(connected.told)
        return connected.told

    def _query(self, prometheus: Prometheus, name: str, query: str) -> Question:
        async def ask() -> str:
            rows = await prometheus.rows(query)
            if isinstance(rows, NoData):
                raise WrongError(rows.why, f"look at {self._target.prometheus_url}")
            if not rows and name == NEEDED:
                raise WrongError(f"Prometheus has no series of the service: {query}")
            if not rows:
                raise NotSetError("Prometheus understands it and has no data")
            return "has data"

        labels = f'service="{self._target.service}", environment="{self._target.environment}"'
        return Question(
            f"prometheus-{name}", ask, f"let Prometheus scrape the service with the labels {labels}"
        )

    def _url(self) -> str:
        if self._target.url is None:
            raise NotSetError(f"no url in {self._table}")
        return self._target.url

    async def _on_ecs(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._target.platform != "ecs":
            raise NotSetError(NOT_ON_ECS)
        return await self._threads.run(function, *args, **kwargs)

    def _describe_tasks(self) -> str:
        ecs, where = self._clients.ecs(self._target.region), self._target
        with self._clients.naming_errors("list the tasks"):
            arns = ecs.list_tasks(cluster=where.cluster, serviceName=where.ecs_service, maxResults=1)[
                "taskArns"
            ]
        with self._clients.naming_errors("describe a task"):
            found = ecs.describe_tasks(cluster=where.cluster, tasks=arns)["tasks"] if arns else []
        return "can be listed and described" if found else "can be listed; there is none to describe"

    def _list_task_definitions(self) -> str:
        with self._clients.naming_errors("list task definitions"):
            self._clients.ecs(self._target.region).list_task_definitions(status="ACTIVE", maxResults=1)
        return "can be listed"

    def _filter_logs(self, group: str) -> str:
        since = datetime.now(UTC) - MINUTE
        with self._clients.naming_errors(f"read the log group {group}"):
            self._clients.logs(self._target.region).filter_log_events(
                logGroupName=group, startTime=round(since.timestamp() * 1000), limit=1
            )
        return f"{group} can be read"


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Tell which address it was that did not answer."""
    try:
        yield
    except OutsideError as error:
        raise WrongError(f"{address}: {error}") from error
