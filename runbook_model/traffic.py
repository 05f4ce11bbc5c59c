"""What requests say of a service: counted, judged against the catalog's thresholds, and put in words. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from runbook_model.durations import format_duration
from runbook_model.fact import Fact
from runbook_model.readings import Quality, Reading

if TYPE_CHECKING:
    from datetime import datetime

    from runbook_model.catalog.catalog import Target

ROUNDING = 1e-9
"""A share this much over its limit is the limit, as division left it."""


class Traffic(Fact):
    """Requests that a service answered in a window."""

    requests: float
    """Prometheus extrapolates, so this need not be whole."""
    failed: float
    window: timedelta
    source: Literal["prometheus", "scrape"]
    query: str | None = None
    note: str = ""
    """Where it comes from, where that needs words."""


class Silence(Fact):
    """Why nothing is known of the requests."""

    why: str
    source: Literal["prometheus", "scrape"]
    query: str | None = None
    uncounted: bool = False
    """Whether requests are counted and only their failures are not."""


class Probes(Fact):
    """Requests that the product itself sent."""

    sent: int
    failed: int
    refused: int | None = None
    """The 4xx status of a probe that the service does not accept: the catalog's probe is wrong."""


def missing(seen: Traffic | Silence, target: Target) -> int:
    """How many requests are missing to say something; 0 when there are enough."""
    requests = round(seen.requests) if isinstance(seen, Traffic) else 0
    return max(0, target.thresholds.min_requests - requests)


def judge_traffic(seen: Traffic | Silence, target: Target, now: datetime) -> Reading:
    """Hold the share of failed requests against the limit; too few requests say nothing."""
    if isinstance(seen, Silence) or missing(seen, target):
        return _error_rate(Quality.NO_DATA, too_few(seen, target), seen, target, now)
    held = _held(seen.failed, seen.requests, seen, target, now)
    return held.model_copy(update={"detail": _noted(held.detail, seen.note)})


def judge_probed(seen: Traffic | Silence, probes: Probes, target: Target, now: datetime) -> Reading:
    """Judge too few requests together with probes."""
    why = too_few(seen, target)
    if probes.refused:
        detail = f"{why}; the probe was answered {probes.refused}: correct probe in the catalog"
        return _error_rate(Quality.NO_DATA, detail, seen, target, now)
    counted = seen if isinstance(seen, Traffic) else None
    failed = probes.failed + (counted.failed if counted else 0)
    requests = probes.sent + (counted.requests if counted else 0)
    held = _held(failed, requests, seen, target, now)
    detail = f"{held.detail}: {why}; {probes.failed} of {probes.sent} probes failed"
    return held.model_copy(update={"source": "probe", "detail": detail})


def too_few(seen: Traffic | Silence, target: Target) -> str:
    """Say why the traffic alone does not settle it."""
    if isinstance(seen, Silence):
        return seen.why
    few = f"{_count(round(seen.requests))} in {format_duration(seen.window)}"
    return _noted(f"{few}, {target.thresholds.min_requests} are needed", seen.note)


def _held(failed: float, requests: float, seen: Traffic | Silence, target: Target, now: datetime) -> Reading:
    limit = target.thresholds.error_rate
    share = failed / requests
    quality = Quality.BAD if share > limit + ROUNDING else Quality.GOOD
    detail = f"{100 * share:.1f} % of {_count(round(requests))} failed (limit {100 * limit:g} %)"
    return _error_rate(quality, detail, seen, target, now, share)


def _error_rate(
    quality: Quality,
    detail: str,
    seen: Traffic | Silence,
    target: Target,
    now: datetime,
    value: float | None = None,
) -> Reading:
    return Reading(
        kind="error-rate",
        quality=quality,
        value=value,
        limit=target.thresholds.error_rate,
        detail=detail,
        source=seen.source,
        query=seen.query,
        at=now,
    )


def _count(requests: int) -> str:
    return f"{requests} request" if requests == 1 else f"{requests} requests"


def _noted(words: str, note: str) -> str:
    return f"{words}, {note}" if note else words
