"""Checks of the setup: the table of all that are made, what is asked for, and what was found.

Doctor and drills run the same table. A row says what a check is called, what it needs, and how to fix what it finds;
``activities/doctor`` has the function of each row that a worker sees, by the row's name.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NamedTuple

from pydantic import AliasChoices, Field

from runbook_model.catalog.policies import Channel, Environment
from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.names.procedures import FIX_PACKAGE, PROCEDURES
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import ServiceState
from runbook_model.releases.rollback_time import RollbackTime

SECONDS: Final = 5.0
"""For one check."""
POLICY: Final = (
    "allow it what deploy/iam-policy-environment.json lists, and for reviews deploy/iam-policy-worker.json"
)
SET_THE_CLOCK: Final = "let NTP set the clock of the worker's host: timedatectl set-ntp true"
REACH_IAM: Final = "let the worker reach IAM"
LABELS: Final = 'service="{service}", environment="{environment}"'


class Row(NamedTuple):
    """One check of the table."""

    name: str
    of: Literal["everywhere", "environment", "service"]
    needs: tuple[str, ...] = ()
    """Checks that it cannot pass without: while one of them is red, it is unknown and not red."""
    fix: str = ""
    """What to do when it fails, unless the error says better. ``{table}`` is the catalog's table of what is checked."""
    unknown: str | None = None
    """For what somebody else is asked about, who may not answer: what would let them. Then nothing is known of it."""
    seconds: float = SECONDS
    by_compose: str = ""
    """Why there is nothing to look at where services run by compose; empty where there is something."""


NOT_ON_ECS: Final = "it does not run on ECS"
BY_COMPOSE: Final = "it runs by compose"
WORKER_CATALOG: Final = "worker-catalog"
AWS = ("aws-identity", "cluster")
SERVICE = (*AWS, "service")

COMMAND_LINE: Final = (
    Row("catalog", "everywhere"),
    Row("temporal", "everywhere"),
    Row("namespace", "everywhere"),
    Row("search-attributes", "everywhere"),
    Row("worker", "environment"),
    Row("worker-versions", "environment"),
    Row("encryption", "environment"),
)
"""What the command line sees by itself; each needs those before it."""

WORKER: Final = (
    Row(WORKER_CATALOG, "environment"),
    Row(
        "aws-identity",
        "environment",
        fix="give the worker AWS credentials: aws sts get-caller-identity",
        by_compose=BY_COMPOSE,
    ),
    Row(
        "cluster",
        "environment",
        ("aws-identity",),
        "correct cluster or region in {table}",
        by_compose=BY_COMPOSE,
    ),
    Row("prometheus", "environment", fix="start Prometheus there, or correct prometheus_url in {table}"),
    Row("docker-engine", "environment", fix="start the Docker engine, or set DOCKER_HOST"),
    Row("clock", "environment", fix=SET_THE_CLOCK),
    # Every channel has the time of a check, so all of them have a little more.
    Row("chat", "environment", fix="correct the channels in the catalog", seconds=SECONDS + 1),
    Row("reviews", "environment", fix=POLICY, unknown=REACH_IAM),
    Row("signers", "environment", fix="docs/signing.md says how people get keys"),
    Row("standing", "environment", fix="runbook standing sign signs it again"),
    Row("procedures", "environment", fix=FIX_PACKAGE),
    Row("service", "service", (*AWS, "docker-engine"), "correct the service's name in {table}"),
    Row("controller", "service", by_compose=NOT_ON_ECS),
    Row("last-known-good", "service", ("aws-identity", "task-definitions"), by_compose=NOT_ON_ECS),
    Row("deployments", "service", SERVICE, POLICY, by_compose=NOT_ON_ECS),
    Row("tasks", "service", SERVICE, POLICY, by_compose=NOT_ON_ECS),
    Row("task-definitions", "service", ("aws-identity",), POLICY, by_compose=NOT_ON_ECS),
    Row("autoscaling", "service", SERVICE, POLICY, by_compose=NOT_ON_ECS),
    Row("log-group", "service", ("aws-identity",), "correct log_group in {table}"),
    Row("cloudwatch", "service", SERVICE, POLICY, by_compose=NOT_ON_ECS),
    Row("load-balancer", "service", SERVICE, POLICY, by_compose=NOT_ON_ECS),
    Row("traffic-shift", "service", SERVICE, POLICY, by_compose=NOT_ON_ECS),
    Row("permissions", "service", fix=POLICY, unknown=REACH_IAM, by_compose=NOT_ON_ECS),
    Row("health", "service", ("docker-engine",), "correct url or health_path in {table}"),
    Row(
        "metrics",
        "service",
        ("docker-engine", "health"),
        "let the service export its metrics: see Metrics in docs/doctor.md",
    ),
    # Terraform starts each provider to validate a module.
    Row("terraform", "service", fix="look with terraform validate", seconds=8.0),
    Row(
        "database",
        "service",
        ("docker-engine",),
        "start the database, or correct how it is reached in the catalog or the worker's environment",
    ),
    Row("rds-instance", "service", ("aws-identity",), "correct database.rds_instance in {table}"),
)
"""What a worker sees: its catalog, what the services of an environment share, and each service."""

QUERY: Final = Row(
    "prometheus-", "service", ("prometheus",), f"let Prometheus scrape the service with the labels {LABELS}"
)
"""Of a service's queries, a check for each, named ``prometheus-`` and the query."""
PLAN: Final = Row("-plan", "service", SERVICE, "runbook start {procedure} {target} --plan shows it again")
"""Of what drills add, a plan of each procedure, named after it and ``-plan``."""
ROLLBACK_PLAN: Final = PLAN._replace(
    name="rollback-plan",
    needs=(*SERVICE, "controller", "deployments", "task-definitions", "last-known-good"),
    by_compose=NOT_ON_ECS,
)
ROWS: Final = {row.name: row for row in (*COMMAND_LINE, *WORKER, ROLLBACK_PLAN)}


def row_of(name: str) -> Row:
    """Return the row of a check; one that is in no table needs nothing."""
    if row := ROWS.get(name):
        return row
    if name.startswith(QUERY.name):
        return QUERY._replace(name=name)
    return PLAN._replace(name=name) if name.endswith(PLAN.name) else Row(name, "service")


class Check(Fact):
    """One thing that must be in place."""

    environment: str | None = None
    """None: it is the same for all."""
    service: str | None = None
    """None: it is the same for every service of the environment."""
    name: str
    ok: bool | None
    """None: it is not configured, or cannot be determined while something else is wrong."""
    detail: str
    fix: str | None = Field(default=None, validation_alias=AliasChoices("fix", "mend"))
    """What to do, when it is not ok; older drills call it by another name."""
    rollback: RollbackTime | None = None
    """How long a rollback takes, where deployments shift traffic."""

    @classmethod
    def unknown(cls, environment: str | None, service: str | None, name: str, cause: str) -> Check:
        """Say that a check says nothing while something that it needs is not in place."""
        detail = f"unknown: {cause} is not in place"
        return cls(environment=environment, service=service, name=name, ok=None, detail=detail)


class DoctorRequest(Fact):
    """Look at an environment, or at one service in it."""

    environment: str
    service: str | None = None


class Place(Fact):
    """An environment, as the worker's catalog has it."""

    environment: str
    where: Environment
    channels: tuple[Channel, ...] = ()
    """Where its incidents are announced."""

    @property
    def table(self) -> str:
        """What its table in the catalog is called."""
        return f"[environments.{self.environment}]"


class Found(Fact):
    """What there is to look at."""

    catalog: str
    """The file."""
    place: Place
    targets: tuple[Target, ...]
    procedures: tuple[str, ...] = PROCEDURES
    """All that the worker serves, those of installed packages too."""


class Checks(Fact):
    """What was found."""

    checks: tuple[Check, ...]


class TargetChecks(Checks):
    """What was found of a target, and the facts that are left to judge."""

    service: ServiceState | None = None
    history: ReleaseHistory | None = None


class DrillRequest(Fact):
    """Find out whether procedures would work in an environment now."""

    environment: str


class Known(Fact):
    """The last that was known for sure of one check."""

    service: str | None
    """None: what the services of the environment share."""
    name: str
    ok: bool


class Drilled(Fact):
    """What a drill found; the next one is compared with it."""

    environment: str
    at: datetime
    services: tuple[str, ...] = ()
    """All that the worker's catalog has there."""
    checks: tuple[Check, ...] = ()
    broke: tuple[Check, ...] = ()
    """What worked when it was last known, and no longer does."""
    restored: tuple[Check, ...] = ()
    """What did not work when it was last known, and does again."""
    since: datetime | None = None
    """When the drill was that it is compared with; None for the first."""
    known: tuple[Known, ...] = ()
    """What is remembered for the next drill: also of what could not be determined this time."""
    not_notified: str | None = None
    """Why people could not be notified what changed; the next drill reports them."""

    @property
    def would_work(self) -> bool:
        """Whether nothing was found that would keep a procedure from working."""
        return all(check.ok is not False for check in self.checks)


class LastDrill(Fact):
    """The drill before, if there was one that can still be read."""

    drill: Drilled | None = None

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return f"the last one was at {self.drill.at:%Y-%m-%d %H:%M} UTC" if self.drill else "none before"
