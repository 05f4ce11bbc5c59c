"""Targets, observations and samples for the tests of measuring and judging."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx

from activities.prometheus.client import Stores
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.prometheus import PrometheusAccess
from runbook_model.catalog.service_policies import Probe, RollbackPolicy, Thresholds, Verify
from runbook_model.catalog.target import Target
from runbook_model.measured.readings import Observation, Quality, Reading, Sample
from runbook_model.releases.release import Release

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
URL = "http://service.test"
PROMETHEUS = "http://prometheus.test"
PROBE = Probe(path="/api/v1/process", body='{"test": "data"}')
G, B, N, E = Quality.GOOD, Quality.BAD, Quality.NO_DATA, Quality.ERROR


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def at(number: float) -> datetime:
    return NOW + seconds(number)


def a_target(**changes: object) -> Target:
    """Five good samples over 10 s are needed, 50 requests in 15 s, 10 % may fail; no load balancer is asked."""
    target = Target(
        service="ai-processor",
        environment="prod",
        platform="ecs",
        region="us-east-1",
        cluster="ai-processor-prod",
        ecs_service="ai-processor-service-prod",
        url=URL,
        log_group="/ecs/ai-processor-prod",
        prometheus_url=PROMETHEUS,
        release_label="release",
        thresholds=Thresholds(error_rate=0.10, min_requests=50),
        verify=Verify(bake=seconds(10), rate_window=seconds(15), consecutive=5),
        rollback=RollbackPolicy(),
        approvals=Approvals(),
        evidence=("prometheus", "scrape", "probe"),
    )
    return target.model_copy(update=changes)


def a_release(revision: int = 3) -> Release:
    arn = f"arn:aws:ecs:us-east-1:123456789012:task-definition/ai-processor-prod:{revision}"
    return Release(task_definition=arn)


def an_observation(**changes: object) -> Observation:
    observation = Observation(target=a_target(), release=a_release(), since=NOW, deadline=at(120))
    return observation.model_copy(update=changes)


def a_sample(
    moment: float,
    quality: Quality = G,
    *,
    rate: float | None = None,
    health: Quality = G,
    detail: str | None = None,
) -> Sample:
    """One sample with a good health, an error rate of the quality asked for, and error lines that do not decide."""
    when = at(moment)
    words = detail or (
        f"{100 * rate:.1f} % of 410 requests failed (limit 10 %)" if rate is not None else quality
    )
    return Sample(
        at=when,
        readings=(
            Reading(
                kind="health",
                quality=health,
                detail="health 200" if health is G else "health 503",
                source="http",
                at=when,
            ),
            Reading(
                kind="error-rate",
                quality=quality,
                value=rate,
                limit=0.1,
                detail=words,
                source="prometheus",
                query="q",
                at=when,
            ),
            Reading(
                kind="log-errors",
                quality=B,
                detail="2 error lines in 15s",
                source="logs",
                decides=False,
                at=when,
                excerpt=("ERROR x",),
            ),
        ),
    )


def client(answer) -> httpx.AsyncClient:
    """An HTTP client whose other side is a function from request to response."""
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


def a_prometheus(http, url: str = PROMETHEUS, **access: object):
    """The Prometheus at an address, asked by a client of the test's."""
    return Stores(http, None).at(PrometheusAccess(url=url, **access), Account(region="us-east-1"))
