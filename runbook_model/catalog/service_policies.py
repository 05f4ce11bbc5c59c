"""What the catalog says of a service and of its database."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from runbook_model.catalog.fields import (
    ComposeName,
    EnvironmentVariable,
    EvidenceOrder,
    HttpPath,
    LinePattern,
    Name,
    Policy,
    Positive,
    QueueName,
    Share,
    Url,
    Variable,
)
from runbook_model.catalog.metrics import Metrics
from runbook_model.text.durations import Duration


class Thresholds(Policy):
    """Where good ends; the defaults are the runbook's."""

    error_rate: Share = Field(default=0.10, description="Share of requests that may fail, 0 to 1.")
    p95_seconds: float = Field(
        default=1.0, gt=0, description="Seconds in which 95 % of the requests must be answered."
    )
    cpu: Share = Field(
        default=0.80,
        description="Most CPU that is still healthy, as a share of a task's limit: measured, not enforced.",
    )
    memory: Share = Field(
        default=0.85,
        description="Most memory that is still healthy, as a share of a task's limit: measured, not enforced.",
    )
    min_requests: int = Field(
        default=50, ge=1, description="With fewer requests in the window there is no verdict."
    )
    surge: float = Field(
        default=1.5, gt=1, description="How many times the usual requests or CPU count as more load."
    )
    queue_age: Positive = Field(
        default=timedelta(minutes=5), description="How old the oldest message of its `queue` may be."
    )


class Verify(Policy):
    """How long and how often a change must look good before it counts."""

    bake: Positive = Field(default=timedelta(minutes=5), description="How long it must have been good.")
    rate_window: Positive = Field(
        default=timedelta(minutes=5), description="The window for rates: at least four scrapes."
    )
    consecutive: int = Field(default=5, ge=1, description="How many readings in a row must be good.")
    lag: Positive = Field(
        default=timedelta(minutes=3),
        description="How long after a minute CloudWatch has published its load balancers' figures whole.",
    )


class RollbackPolicy(Policy):
    """How a release is put back."""

    strategy: Literal["task-definition", "terraform", "force-new-deployment"] = Field(
        default="task-definition", description="How a release is restored."
    )
    soak: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        default=timedelta(hours=1), description="How long a release must have run to count as good."
    )
    steady: Positive = Field(default=timedelta(minutes=30), description="How long to wait for steady state.")


class Terraform(Policy):
    """The Terraform module that owns the service."""

    directory: str = Field(description="The module's folder on the worker's machine, initialised.")
    workspace: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.~-]{1,90}$",
        description="Its workspace; the selection in the folder does not change. By default the selected one.",
    )
    var_files: tuple[str, ...] = Field(
        default=(), description="Files of values (`-var-file`), seen from the folder, in this order."
    )
    program: Literal["terraform", "tofu"] | None = Field(
        default=None,
        description="The program that runs the module; by default what its lock file says, else the one that is installed.",
    )
    image_variable: Variable = Field(default="image_tag", description="Its variable for the image.")
    image_variable_holds: Literal["tag", "image"] = Field(
        default="tag", description="Whether that variable is the image's tag, or the whole image."
    )
    pass_env: tuple[EnvironmentVariable, ...] | None = Field(
        default=None,
        description="Variables of the worker that the program gets in addition to `AWS_…`, `TF_…`, proxies and "
        "paths; it gets no others, and a home folder of its own.",
    )
    cli_config: str | None = Field(
        default=None,
        description="Its own configuration file (`TF_CLI_CONFIG_FILE`), with mirrors and tokens of registries; "
        "`~/.terraformrc` is not read.",
    )
    ssh_key_file: str | None = Field(
        default=None, description="The only SSH key for modules that come by git; by default what SSH finds."
    )
    cpu_variable: Variable = Field(default="cpu", description="Its variable for a task's CPU units.")
    memory_variable: Variable = Field(default="memory", description="Its variable for a task's MiB.")

    @property
    def command(self) -> str:
        """How a person runs it: ``TF_WORKSPACE=prod terraform -chdir=/infra``."""
        selecting = f"TF_WORKSPACE={self.workspace} " if self.workspace else ""
        return f"{selecting}{self.program or 'terraform'} -chdir={self.directory}"


class Scale(Policy):
    """Sizes that procedures may scale to; the defaults are the runbook's."""

    errors: int = Field(default=5, ge=1, description="Tasks that `high-error-rate` scales out to.")
    latency: int = Field(default=4, ge=1, description="Tasks that `high-latency` scales out to.")
    resources: int = Field(default=5, ge=1, description="Tasks that `resource-issues` scales out to.")
    max: int = Field(default=10, ge=1, description="The maximum number of tasks for every procedure.")
    min: int = Field(
        default=1, ge=1, description="The number of tasks below which extra tasks are never removed."
    )
    hold: Positive = Field(
        default=timedelta(hours=1), description="How long extra tasks are kept before they are removed."
    )
    cpu: int = Field(
        default=512, ge=1, description="CPU units that a task is scaled up to; 1024 is one core."
    )
    memory: int = Field(default=1024, ge=1, description="MiB that a task is scaled up to.")


class Pool(Policy):
    """How many connections each task may hold at most, and what that is set by."""

    size: int = Field(ge=1, description="The size that a pool which is too small is raised to.")
    env: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        description="Variable of the task definition that holds the size.",
    )
    terraform_variable: Variable | None = Field(
        default=None, description="Variable of the service's Terraform module that holds the size."
    )

    @model_validator(mode="after")
    def _says_where(self) -> Pool:
        if self.env is None and self.terraform_variable is None:
            raise ValueError(
                'pool does not say where its size is set: add env = "…" or terraform_variable = "…"'
            )
        return self


class Database(Policy):
    """How the service's database is reached."""

    dsn_env: str | None = Field(
        default=None,
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="Name of the environment variable that holds the database's DSN; optional if `compose_service` is set.",
    )
    compose_service: ComposeName | None = Field(
        default=None, description="The compose service that it runs in; its own tools are run there."
    )
    user: str = Field(
        default="postgres",
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$",
        description="Role that psql is run as in compose_service.",
    )
    name: str = Field(
        default="postgres",
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_-]{0,62}$",
        description="Database that psql connects to in compose_service.",
    )
    rds_instance: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z][a-zA-Z0-9-]{0,62}$",
        description="The RDS instance that may be rebooted; without it a person restarts the database.",
    )
    full: Share = Field(
        default=0.80,
        description="Share of the connections open to services, at which the database counts as full.",
    )
    leaked_after: Positive = Field(
        default=timedelta(minutes=1),
        description="A session that is idle in a transaction for longer was forgotten by its application.",
    )
    pool: Pool | None = Field(
        default=None, description="The service's connection pool; without it a person raises it."
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> Database:
        if self.dsn_env is None and self.compose_service is None:
            raise ValueError(
                'names no way to reach it: add dsn_env = "…", or compose_service = "…" where it runs by compose'
            )
        return self


class Probe(Policy):
    """A request that a probe may send; without it only GET is used."""

    path: str = Field(pattern=r"^/", description="Where it is sent, by POST.")
    body: str = Field(description="What is sent, as JSON.")


class Placement(Policy):
    """One service in one environment."""

    ecs_service: str | None = Field(default=None, description="Its name or ARN on ECS; ECS needs one.")
    container: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z0-9_-]{1,255}$",
        description="The app's container, whose image is the release; by default the one behind the load balancer, "
        "else the only essential one.",
    )
    compose_service: ComposeName | None = Field(
        default=None, description="Its name in the compose file; by default the service's own."
    )
    url: Url | None = Field(default=None, description="The address of its health check and its own metrics.")
    health_path: HttpPath = Field(
        default="/health", description="Path at `url` that answers 2xx while the service is healthy."
    )
    metrics_path: HttpPath = Field(
        default="/metrics", description="Path at `url` of its own metrics, in Prometheus's text format."
    )
    metrics: Metrics = Field(
        default=Metrics(), description="Each key set here wins over the environment's `metrics`."
    )
    evidence: EvidenceOrder | None = Field(
        default=None, description="The same for this service alone, instead of the environment's."
    )
    log_group: str | None = Field(default=None, description="Its log group in CloudWatch.")
    error_pattern: LinePattern | None = Field(
        default=None,
        description="Regular expression (Python's) that finds the service's error lines, instead of log levels.",
    )
    queue: QueueName | None = Field(
        default=None,
        description="The SQS queue that it takes its work from, on ECS: its figures in CloudWatch are part of its health.",
    )
    thresholds: Thresholds = Thresholds()
    verify: Verify = Verify()
    rollback: RollbackPolicy = RollbackPolicy()
    terraform: Terraform | None = None
    scale: Scale = Scale()
    database: Database | None = None
    probe: Probe | None = None


class Service(Policy):
    """A service, with a table for each environment that it runs in."""

    repository: str | None = Field(
        default=None,
        description="Its git repository: where nothing else names an earlier release, a rollback looks for one in its tags.",
    )
    ssh_key_file: str | None = Field(
        default=None, description="The only SSH key for the repository; by default what SSH finds."
    )
    environments: dict[Name, Placement] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _tables_are_environments(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "environments" in value:
            return value
        tables = {key: table for key, table in value.items() if isinstance(table, dict)}
        return {key: rest for key, rest in value.items() if key not in tables} | {"environments": tables}
