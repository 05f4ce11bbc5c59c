"""The catalog: which services and environments exist, with their thresholds and policies.

Unknown keys are errors. A target, that is a service in an environment, is what procedures work on; it goes into history
as it was resolved, so that a run shows what it relied on.
"""

from __future__ import annotations

import tomllib
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from activities.catalog_problems import describe
from activities.durations import Duration
from activities.errors import CatalogError, UnknownTargetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
Name = Annotated[str, StringConstraints(pattern=NAME)]
# Targets go into history, so their addresses hold no user and password.
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+(/[^\s]*[^/\s])?$")]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
Share = Annotated[float, Field(gt=0, le=1)]
ProcedureName = Literal[
    "service-down", "high-error-rate", "high-latency", "resource-issues", "database-issues", "rollback"
]


class Policy(BaseModel):
    """A part of the catalog."""

    model_config = ConfigDict(frozen=True)


class Approvals(Policy):
    """Who must agree to a change, and what silence does."""

    needed: int = Field(default=1, ge=0, description="How many different people must approve; 0 asks nobody.")
    people: tuple[str, ...] = Field(default=(), description="Who may approve; empty means anybody.")
    requester_may: bool = Field(
        default=False, description="Whether who started the procedure may approve it."
    )
    remind: Positive = timedelta(minutes=5)
    escalate: Positive = timedelta(minutes=10)
    timeout: Positive = timedelta(minutes=30)
    on_timeout: Literal["not-approved", "abort"] = "not-approved"

    @model_validator(mode="after")
    def _enough_people(self) -> Approvals:
        if self.people and len(set(self.people)) < self.needed:
            raise ValueError(
                f"needs {self.needed} approvals but names {len(set(self.people))} people: add people"
            )
        return self


class Brake(Policy):
    """How many automatic remediations may run before a human decides."""

    per_service_per_hour: int = Field(default=3, ge=1)
    targets_at_once: int = Field(default=5, ge=1)


class Environment(Policy):
    """Where services run."""

    platform: Literal["ecs", "compose"] = "ecs"
    region: str = "us-east-1"
    cluster: str | None = None
    prometheus_url: Url | None = None
    release_label: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        description="Prometheus label that holds `family:revision`; without it old errors are waited out.",
    )
    approvals: Approvals = Approvals()
    brake: Brake = Brake()

    @model_validator(mode="after")
    def _cluster_for_ecs(self) -> Environment:
        if self.platform == "ecs" and not self.cluster:
            raise ValueError('platform "ecs" needs a cluster: add cluster = "…"')
        return self


class Thresholds(Policy):
    """Where good ends; the defaults are the runbook's."""

    error_rate: Share = Field(default=0.10, description="Share of requests that may fail, 0 to 1.")
    p95_seconds: float = Field(default=1.0, gt=0)
    cpu: Share = 0.80
    memory: Share = 0.85
    min_requests: int = Field(default=50, ge=1, description="Fewer requests in the window say nothing.")
    surge: float = Field(
        default=1.5, gt=1, description="So many times the usual requests, or CPU, count as more load."
    )


class Verify(Policy):
    """How long and how often a change must look good before it counts."""

    bake: Positive = timedelta(minutes=5)
    rate_window: Positive = timedelta(minutes=5)
    consecutive: int = Field(default=5, ge=1)


class RollbackPolicy(Policy):
    """How a release is put back."""

    strategy: Literal["task-definition", "terraform", "force-new-deployment"] = "task-definition"
    soak: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        default=timedelta(hours=1), description="How long a release must have run to count as good."
    )
    steady: Positive = Field(
        default=timedelta(minutes=30), description="How long steady state is waited for."
    )


class Terraform(Policy):
    """The Terraform module that owns the service."""

    directory: str
    image_variable: str = "image_tag"


class Scale(Policy):
    """Sizes that procedures may scale to; the defaults are the runbook's."""

    errors: int = Field(default=5, ge=1)
    latency: int = Field(default=4, ge=1)
    resources: int = Field(default=5, ge=1)
    max: int = Field(default=10, ge=1)
    hold: Positive = timedelta(hours=1)
    cpu: int = Field(default=512, ge=1)
    memory: int = Field(default=1024, ge=1)


class Database(Policy):
    """How the service's database is reached."""

    dsn_env: str = Field(
        pattern=r"^[A-Z_][A-Z0-9_]*$", description="Name of the variable that holds the DSN."
    )
    rds_instance: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z][a-zA-Z0-9-]{0,62}$",
        description="The RDS instance that may be rebooted; without it a person restarts the database.",
    )
    full: Share = Field(
        default=0.80,
        description="Share of the connections open to services, from which on it counts as full.",
    )
    leaked_after: Positive = Field(
        default=timedelta(minutes=1),
        description="A session that is idle in a transaction for longer was forgotten by its application.",
    )


class Probe(Policy):
    """A request that a probe may send; without it only GET is used."""

    path: str = Field(pattern=r"^/")
    body: str


class Placement(Policy):
    """One service in one environment."""

    ecs_service: str | None = None
    url: Url | None = None
    log_group: str | None = None
    thresholds: Thresholds = Thresholds()
    verify: Verify = Verify()
    rollback: RollbackPolicy = RollbackPolicy()
    terraform: Terraform | None = None
    scale: Scale = Scale()
    database: Database | None = None
    probe: Probe | None = None


class Service(Policy):
    """A service, with a table for each environment that it runs in."""

    repository: str | None = None
    environments: dict[Name, Placement] = {}

    @model_validator(mode="before")
    @classmethod
    def _tables_are_environments(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "environments" in value:
            return value
        tables = {key: table for key, table in value.items() if isinstance(table, dict)}
        return {key: rest for key, rest in value.items() if key not in tables} | {"environments": tables}


class AlertRule(Policy):
    """One row of the alert matrix."""

    name: str
    severity: Literal["critical", "warning", "info"]
    respond_within: Annotated[Duration, Field(ge=timedelta(0))]
    procedure: ProcedureName


class Contact(Policy):
    """Somebody to escalate to."""

    name: str
    channel: str


class Target(BaseModel):
    """A service in an environment, with everything that its procedures rely on."""

    model_config = ConfigDict(frozen=True)

    service: str
    environment: str
    platform: Literal["ecs", "compose"]
    region: str
    cluster: str
    ecs_service: str
    url: str | None
    log_group: str | None
    prometheus_url: str | None
    release_label: str | None
    thresholds: Thresholds
    verify: Verify
    rollback: RollbackPolicy
    terraform: Terraform | None = None
    probe: Probe | None = None
    scale: Scale = Scale()
    database: Database | None = None
    repository: str | None = None
    approvals: Approvals
    links: dict[str, str] = {}

    @property
    def key(self) -> str:
        """``<environment>/<service>``, as ids and ledger tags have it."""
        return f"{self.environment}/{self.service}"


class Catalog(Policy):
    """The whole file."""

    environments: dict[Name, Environment]
    services: dict[Name, Service]
    alerts: tuple[AlertRule, ...] = ()
    contacts: tuple[Contact, ...] = ()
    links: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_fit(self) -> Catalog:
        problems = [
            f"services.{name}.{environment}: {problem}"
            for name, service in self.services.items()
            for environment, placement in service.environments.items()
            for problem in self._problems(environment, placement)
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _problems(self, environment: str, placement: Placement) -> Iterator[str]:
        where = self.environments.get(environment)
        if where is None:
            yield f"no [environments.{environment}]: add it, or mend the name"
        elif where.platform == "ecs" and not placement.ecs_service:
            yield 'runs on ECS but names no service: add ecs_service = "…"'
        if placement.rollback.strategy == "terraform" and placement.terraform is None:
            yield "rollback by Terraform needs terraform = { directory = … }"

    def target(self, service: str, environment: str) -> Target:
        """Resolve names to a target.

        Raises:
            UnknownTargetError: the names are not in the catalog; the message lists those that are.
        """
        known = self.services.get(service)
        if known is None:
            raise UnknownTargetError(
                f'no service "{service}" in the catalog; there are: {_names(self.services)}'
            )
        if environment not in self.environments or environment not in known.environments:
            raise UnknownTargetError(
                f'service "{service}" has no environment "{environment}"; it has: {_names(known.environments)}'
            )
        where, placement = self.environments[environment], known.environments[environment]
        return Target(
            service=service,
            environment=environment,
            platform=where.platform,
            region=where.region,
            cluster=where.cluster or "",
            ecs_service=placement.ecs_service or "",
            prometheus_url=where.prometheus_url,
            release_label=where.release_label,
            approvals=where.approvals,
            repository=known.repository,
            links=self.links,
            **{
                field: getattr(placement, field)
                for field in (
                    "url",
                    "log_group",
                    "thresholds",
                    "verify",
                    "rollback",
                    "terraform",
                    "probe",
                    "scale",
                    "database",
                )
            },
        )


def _names(names: dict[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"


def parse_catalog(text: str, source: str) -> Catalog:
    """Read a catalog from TOML.

    Raises:
        CatalogError: with every problem found, each a line of file, key, value and mend.
    """
    try:
        return Catalog.model_validate(tomllib.loads(text), extra="forbid")
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{source}: not TOML: {error}") from None
    except ValidationError as error:
        raise CatalogError(*describe(error, source)) from None


def load_catalog(path: Path) -> Catalog:
    """Read the catalog file.

    Raises:
        CatalogError: it cannot be read, or is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogError(f"{path}: cannot read the catalog: {error.strerror}") from None
    return parse_catalog(text, str(path))
