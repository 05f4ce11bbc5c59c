"""What the catalog says of environments, of people and of alerts.

Every number that procedures rely on has its default here, which is the runbook's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, model_validator

from runbook_model.catalog.accounts import AssumeRole, problem_of_arn
from runbook_model.catalog.fields import (
    ComposeName,
    EvidenceOrder,
    Name,
    Policy,
    Positive,
    ProcedureName,
    Url,
)
from runbook_model.catalog.metrics import Metrics
from runbook_model.catalog.prometheus import PrometheusAccess, problem_of_address
from runbook_model.names.people import looks_like, problem_of_person
from runbook_model.names.procedures import PROCEDURES
from runbook_model.text.durations import Duration
from runbook_model.text.plain_text import one_line
from runbook_model.text.sentences import count_of


class Approvals(Policy):
    """Who must agree to a change, and what silence does."""

    needed: int = Field(
        default=1, ge=0, description="How many different people must approve; 0 needs no approval."
    )
    people: tuple[str, ...] = Field(
        default=(),
        description="Who may approve; empty means anybody. Names that look alike, or mix alphabets, are refused.",
    )
    requester_may: bool = Field(
        default=False, description="Whether the person who started the procedure may approve it."
    )
    remind: Positive = Field(
        default=timedelta(minutes=5), description="How often people are reminded while the question is open."
    )
    escalate: Positive = Field(
        default=timedelta(minutes=10),
        description="When the question is escalated, once.",
    )
    timeout: Positive = Field(default=timedelta(minutes=30), description="How long the question stays open.")
    on_timeout: Literal["not-approved", "abort"] = Field(
        default="not-approved", description="What happens without an answer."
    )

    signed: bool = Field(
        default=False, description="Whether decisions are signed, and changes verify the signatures."
    )
    signed_by: tuple[Literal["ssh"], ...] = Field(
        default=("ssh",), min_length=1, description="By what: ssh keys of the worker's `RUNBOOK_SIGNERS`."
    )
    hardware: bool = Field(
        default=False, description="Whether only keys in hardware count (`sk-`), which ask for a touch."
    )
    longest: Positive = Field(
        default=timedelta(minutes=15), description="How long a signature may be valid, at most."
    )

    @model_validator(mode="after")
    def _enough_people(self) -> Approvals:
        if self.people and len(set(self.people)) < self.needed:
            raise ValueError(
                f"needs {self.needed} approvals but names {count_of(len(set(self.people)), 'person', 'people')}: add people"
            )
        return self

    def problems(self) -> Iterator[str]:
        """Say why it can never be met, or protects nothing; a run that carries an older policy still reads it."""
        yield from self._too_few()
        if self.hardware and not self.signed:
            yield "hardware is for signed decisions: add signed = true"
        for person in self.people:
            if problem := problem_of_person(person):
                yield f'people: "{one_line(person)}" {problem}'
        for person, other in combinations(self.people, 2):
            if looks_like(person, other):
                yield f'people: "{person}" and "{other}" cannot be distinguished: rename one'

    def _too_few(self) -> Iterator[str]:
        people = len({person.strip().casefold() for person in self.people})
        named = f"names {count_of(people, 'person', 'people')}"
        if self.signed and not self.people:
            yield 'signed decisions need people: add people = ["…"]'
        elif self.signed and not self.needed:
            yield "signed decisions need approvals: set needed = 1 or more"
        elif self.needed >= 2 and not self.people:
            yield f'needs {self.needed} approvals and names nobody: add people = ["…"]'
        elif self.people and people < self.needed:
            yield f"needs {self.needed} approvals, and {named} in different spellings: add people"
        elif self.signed and not self.requester_may and people < self.needed + 1:
            asked = count_of(self.needed, "approval")
            yield f"needs {asked} by others than the requester, and {named}: add people, or requester_may = true"


class PersonOfCatalog(Policy):
    """Somebody whom approvals name."""

    slack: str | None = Field(default=None, pattern=r"^[UW][A-Z0-9]{4,}$", description="Slack's member id.")


class Brake(Policy):
    """How many automatic remediations may run before a human decides."""

    per_service_per_hour: int = Field(
        default=3, ge=1, description="How many procedures start automatically on one service in an hour."
    )
    targets_at_once: int = Field(
        default=5, ge=1, description="On how many targets of the environment they run at the same time."
    )


class Compose(Policy):
    """The compose project that services of an environment belong to."""

    project: ComposeName = Field(description="As `docker compose ls` names it.")


class Environment(Policy):
    """Where services run."""

    platform: Literal["ecs", "compose"] = Field(default="ecs", description="What runs its services.")
    compose: Compose | None = Field(
        default=None,
        description='The project, where the platform is "compose"; procedures refuse without it.',
    )
    region: str = Field(default="us-east-1", description="The AWS region.")
    assume_role: AssumeRole | None = Field(
        default=None, description="The role for its AWS calls; without one the worker's own."
    )
    cluster: str | None = Field(default=None, description="The ECS cluster, by name or ARN; ECS needs one.")
    prometheus_url: Url | None = Field(
        default=None,
        description="The short form of `prometheus`; without either their load balancers and their own metrics are read.",
    )
    prometheus: PrometheusAccess | None = Field(
        default=None,
        description="The long form, for a Prometheus that wants credentials, headers or a certificate of its own.",
    )
    release_label: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        description="Prometheus label that holds `family:revision`; without it the run waits until old errors have left the window.",
    )
    metrics: Metrics = Metrics()
    evidence: EvidenceOrder | None = Field(
        default=None,
        description="Where the numbers of requests come from: the first with data measures, later ones check it. "
        'By default `["prometheus", "load-balancer", "service-connect", "scrape", "probe"]`, as far as there are any.',
    )
    approvals: Approvals = Approvals()
    brake: Brake = Brake()

    @model_validator(mode="after")
    def _cluster_for_ecs(self) -> Environment:
        if self.platform == "ecs" and not self.cluster:
            raise ValueError('platform "ecs" needs a cluster: add cluster = "…"')
        if problem := problem_of_arn("cluster", "cluster", self.cluster, self.region):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _one_prometheus(self) -> Environment:
        if self.prometheus_url and self.prometheus:
            raise ValueError("prometheus_url and prometheus are the same: remove prometheus_url")
        if self.store and (problem := problem_of_address(self.store.url)):
            raise ValueError(f"{'prometheus.url' if self.prometheus else 'prometheus_url'}: {problem}")
        return self

    @property
    def store(self) -> PrometheusAccess | None:
        """How its Prometheus is reached; None where it has none."""
        return self.prometheus or (PrometheusAccess(url=self.prometheus_url) if self.prometheus_url else None)

    @model_validator(mode="after")
    def _compose_for_compose(self) -> Environment:
        if self.platform == "ecs" and self.compose:
            raise ValueError('compose is for platform "compose": remove it, or set platform = "compose"')
        if self.platform == "compose" and self.release_label:
            raise ValueError("release_label is for ECS: remove it")
        if self.platform == "compose" and self.assume_role:
            raise ValueError("assume_role is for AWS: remove it")
        return self


class AlertRule(Policy):
    """One row of the alert matrix."""

    name: str = Field(min_length=1, max_length=128, description="The label `alertname`, exactly.")
    labels: dict[str, str] = Field(
        default={}, description="Labels that the alert must have too, each with exactly this value."
    )
    severity: Literal["critical", "warning", "info"] = Field(
        description="Severity of the incident; it is used instead of the alert's label `severity`."
    )
    respond_within: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        description="How soon somebody must respond before contacts are called."
    )
    procedure: ProcedureName = Field(
        description=f"What is run: {', '.join(PROCEDURES)}, or one that a package brings."
    )


class Channel(Policy):
    """Where people are notified."""

    name: Name = Field(description="The name that contacts use; `log` always exists.")
    kind: Literal["slack-webhook", "slack", "webhook", "log"] = Field(description="The kind of channel.")
    secret_env: str | None = Field(
        default=None,
        pattern=r"^[A-Z_][A-Z0-9_]*$",
        description="Name of the variable that holds the webhook's address, or Slack's bot token.",
    )
    channel: str | None = Field(
        default=None,
        pattern=r"^(#[^\s#@]{1,80}|[CDG][A-Z0-9]{6,})$",
        description='For kind "slack": the channel, by "#name" or by id.',
    )
    environments: tuple[Name, ...] = Field(
        default=(), description="The environments whose incidents it gets; empty means all."
    )

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Channel:
        if self.kind != "log" and not self.secret_env:
            raise ValueError(
                f'kind "{self.kind}" needs secret_env = "…", the variable that holds its address or token'
            )
        if self.kind == "slack" and not self.channel:
            raise ValueError('kind "slack" needs channel = "#…"')
        return self


class Contact(Policy):
    """Somebody to escalate to."""

    name: str = Field(description="Who is called, in the order of the file.")
    channel: str = Field(description="The channel where they get messages.")


class Incidents(Policy):
    """When people hear of an incident, when it counts as over, and how soon a procedure may be run again."""

    update_every: Positive = Field(
        default=timedelta(minutes=30), description="The longest time without an update while it is open."
    )
    call_every: Positive = Field(
        default=timedelta(minutes=10),
        description="How long one contact has to respond before the next is called.",
    )
    quiet: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        default=timedelta(minutes=1),
        description="How long every alert must be resolved before the incident ends.",
    )
    cool_down: Annotated[Duration, Field(ge=timedelta(0))] = Field(
        default=timedelta(minutes=10),
        description="How long after its end the same procedure does not start again automatically; doubled each time.",
    )
    cool_down_max: Positive = Field(default=timedelta(hours=4), description="The longest cool-down.")


_MATRIX: tuple[tuple[str, Literal["critical", "warning"], int, ProcedureName], ...] = (
    ("ServiceDown", "critical", 0, "service-down"),
    ("DatabaseDown", "critical", 0, "database-issues"),
    ("HighErrorRate", "warning", 5, "high-error-rate"),
    ("DatabaseConnectionsHigh", "warning", 5, "database-issues"),
    ("HighLatencyP95", "warning", 10, "high-latency"),
    ("HighCPU", "warning", 15, "resource-issues"),
    ("HighMemory", "warning", 15, "resource-issues"),
)

RUNBOOK_MATRIX: tuple[AlertRule, ...] = tuple(
    AlertRule(name=name, severity=severity, respond_within=timedelta(minutes=minutes), procedure=procedure)
    for name, severity, minutes, procedure in _MATRIX
)
"""What counts where a catalog has no ``[[alerts]]``: the runbook's matrix, and its database page's alerts."""


def find_rule(matrix: Sequence[AlertRule], name: str, labels: Mapping[str, str]) -> AlertRule | None:
    """Return the first row that is about an alert: its name is the alert's, and the alert has all of its labels."""
    return next(
        (rule for rule in matrix if rule.name == name and rule.labels.items() <= labels.items()), None
    )
