"""A target: a service in an environment, as the catalog resolves it, with everything that its procedures rely on. Pure.

The link ``traces`` is where a person sees one trace, with the trace's id in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

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

TRACES = "traces"
"""Its name among the catalog's links."""
PLACE = "{trace_id}"
"""Where the id belongs."""
_ADDRESS = re.compile(r"https?://[^\s/?#@]+([/?#]\S*)?")
_OTHER_PLACE = re.compile(r"\{[^{}]*\}?|\}")


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


def problem_of_traces(links: Mapping[str, str]) -> str | None:
    """Say what is wrong with the link, and the fix; None where there is none, or nothing is."""
    link = links.get(TRACES)
    if link is None:
        return None
    if not _ADDRESS.fullmatch(link):
        return "is not an address: start it with http:// or https://, without user, password and spaces"
    if other := _OTHER_PLACE.search(link.replace(PLACE, "")):
        return (
            f"{other[0]} is not known: write {PLACE} where the trace's id belongs, and nothing else in braces"
        )
    if PLACE not in link:
        return f"does not say where the trace's id belongs: write {PLACE} there"
    return None


def trace_link(links: Mapping[str, str], trace_id: str | None) -> str | None:
    """Return where a trace is seen; None where nothing was traced, or no link is known."""
    link = links.get(TRACES)
    return link.replace(PLACE, quote(trace_id, safe="")) if link and trace_id else None


def with_trace(links: Mapping[str, str], trace_id: str | None) -> dict[str, str]:
    """Return links that lead somewhere: that of the trace with its id, or none of it where nothing was traced."""
    link = trace_link(links, trace_id)
    others = {name: address for name, address in links.items() if name != TRACES}
    return others | ({TRACES: link} if link else {})
