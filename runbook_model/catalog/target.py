"""A target: a service in an environment, as the catalog resolves it, with everything that its procedures rely on. Pure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from runbook_model.catalog.accounts import Account, AssumeRole, account_of
from runbook_model.catalog.fields import EVIDENCE, EvidenceSource
from runbook_model.catalog.metrics import Convention, Metrics
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.catalog.service_policies import (
    Database,
    Probe,
    RollbackPolicy,
    Scale,
    Terraform,
    Thresholds,
    Verify,
)


class Target(BaseModel):
    """A service in an environment, with everything that its procedures rely on."""

    model_config = ConfigDict(frozen=True)

    service: str
    environment: str
    platform: Literal["ecs", "compose"]
    region: str
    cluster: str
    ecs_service: str
    container: str | None = None
    """The app's container on ECS; None where it is found out."""
    compose_project: str = ""
    """Empty on ECS, and where the catalog names none."""
    compose_service: str = ""
    url: str | None
    log_group: str | None
    prometheus_url: str | None
    prometheus: PrometheusAccess | None = None
    """How it is reached, where its address is not all."""
    release_label: str | None
    thresholds: Thresholds
    verify: Verify
    rollback: RollbackPolicy
    terraform: Terraform | None = None
    probe: Probe | None = None
    scale: Scale = Scale()
    database: Database | None = None
    repository: str | None = None
    ssh_key_file: str | None = None
    """For its repository."""
    approvals: Approvals
    health_path: str = "/health"
    metrics_path: str = "/metrics"
    metrics: Metrics = Metrics()
    evidence: tuple[EvidenceSource, ...] = EVIDENCE
    """Where the numbers of its requests come from, first to last, as far as it has them."""
    error_pattern: str | None = None
    queue: str | None = None
    """The SQS queue that it takes its work from."""
    links: dict[str, str] = {}
    channels: tuple[str, ...] = ()
    """Names of the channels where its incidents are announced."""
    assume_role: AssumeRole | None = None
    """The role that its environment's calls of AWS are made by."""

    @property
    def key(self) -> str:
        """``<environment>/<service>``, as ids and ledger tags have it."""
        return f"{self.environment}/{self.service}"

    @property
    def table(self) -> str:
        """What its table in the catalog is called."""
        return f"[services.{self.service}.{self.environment}]"

    def has(self, source: EvidenceSource) -> bool:
        """Whether a source may be asked for the numbers of its requests; a load balancer is found only by asking."""
        there = {
            "prometheus": self.prometheus_url is not None,
            "load-balancer": self.platform == "ecs",
            "service-connect": self.platform == "ecs",
            "scrape": self.url is not None,
            "probe": self.url is not None and self.probe is not None,
        }
        return source in self.evidence and there[source]

    @property
    def health_url(self) -> str:
        """Where its health is asked for; only a path where the catalog gives no url."""
        return f"{self.url or ''}{self.health_path}"

    @property
    def metrics_url(self) -> str:
        """Where its own metrics are asked for; only a path where the catalog gives no url."""
        return f"{self.url or ''}{self.metrics_path}"

    @property
    def store(self) -> PrometheusAccess | None:
        """How its Prometheus is reached; None where there is none."""
        return self.prometheus or (PrometheusAccess(url=self.prometheus_url) if self.prometheus_url else None)

    @property
    def convention(self) -> Convention:
        """By what names its requests, failures and latency are found."""
        return self.metrics.convention(self.service, self.environment)

    @property
    def account(self) -> Account:
        """Where its calls of AWS go, and as whom."""
        return account_of(self.environment, self.region, self.assume_role)
