"""Prometheus: whether it answers, and which services its request counters name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from activities.http.client import http_client
from activities.prometheus.client import NoData, Prometheus
from runbook_model.discovered import FoundPrometheus, Series
from runbook_model.errors import OutsideError

if TYPE_CHECKING:
    from collections.abc import Collection

METRIC = "http_requests_total"
REVISION = re.compile(r"(?P<family>[A-Za-z0-9_-]{1,255}):\d+")


async def read_prometheus(url: str, families: Collection[str]) -> FoundPrometheus:
    """Ask a Prometheus which services it has requests of.

    Args:
        url: where it is, without trailing slash.
        families: the families of task definitions, of which a release label names revisions.
    """
    async with http_client() as http:
        prometheus = Prometheus(http, url)
        try:
            named = await prometheus.rows(f"count by (service, environment) ({METRIC})")
            samples = await prometheus.rows(f"topk by (service, environment) (1, {METRIC})")
        except OutsideError as error:
            return FoundPrometheus(url=url, metric=METRIC, why_not=str(error))
    for answer in (named, samples):
        if isinstance(answer, NoData):
            return FoundPrometheus(url=url, metric=METRIC, why_not=answer.why)
    assert not isinstance(named, NoData)
    assert not isinstance(samples, NoData)
    found = {(labels.get("service", ""), labels.get("environment", "")) for labels, _ in named}
    labels = [
        label
        for sample, _ in samples
        for label, value in sorted(sample.items())
        if (revision := REVISION.fullmatch(value)) and revision["family"] in families
    ]
    return FoundPrometheus(
        url=url,
        metric=METRIC,
        series=tuple(
            Series(service=service, environment=where) for service, where in sorted(found) if service
        ),
        release_label=labels[0] if labels else None,
    )
