"""Which time CloudWatch has published the figures of requests for. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import NamedTuple

from runbook_model.catalog.fields import EvidenceSource
from runbook_model.catalog.service_policies import Verify
from runbook_model.catalog.target import Target
from runbook_model.measured.evidence import Points

MINUTE = timedelta(minutes=1)
"""CloudWatch has the figures of load balancers and of Service Connect by the minute."""
SHORT = timedelta(seconds=5)
"""Where windows are shorter than that, as in the sandbox."""
SHORT_WINDOWS = (timedelta(seconds=20), timedelta(seconds=30), MINUTE)
"""Windows of less than a minute: CloudWatch takes a percentile over no others."""
LATE: tuple[EvidenceSource, ...] = ("load-balancer", "service-connect")
"""The sources of requests that CloudWatch publishes."""
LEAST_PERIODS = 3
"""A window has so many of them at least."""


class Published(NamedTuple):
    """A time of which every figure is published, in whole periods."""

    begin: datetime
    end: datetime
    period: timedelta

    @property
    def span(self) -> timedelta:
        """How long it is."""
        return self.end - self.begin

    @property
    def words(self) -> str:
        """Which time it is: what is read of it may be older than the last release."""
        return f"from {self.begin:%H:%M:%S} to {self.end:%H:%M:%S} UTC"

    def holds(self, points: Points) -> list[float]:
        """Return the values of the periods in it, oldest first."""
        return [value for moment, value in points if self.begin.timestamp() <= moment < self.end.timestamp()]

    def since(self, moment: datetime) -> Published | None:
        """Return the part of it that begins at a moment, in whole periods; None where none is left."""
        length = self.period.total_seconds()
        begin = datetime.fromtimestamp(ceil(moment.timestamp() / length) * length, UTC)
        return self._replace(begin=max(begin, self.begin)) if begin < self.end else None

    def newest_whole(self, points: Points, since: datetime | None) -> float | None:
        """Return the newest value over a period as long as this, whose start CloudWatch may choose."""
        last, first = self.end - self.span, since or datetime.min.replace(tzinfo=UTC)
        fit = [value for moment, value in points if _moment(first) <= moment <= last.timestamp()]
        return fit[-1] if fit else None


def published(verify: Verify, until: datetime) -> Published:
    """Return the last window that ended by a moment."""
    if verify.rate_window >= MINUTE:
        period, span = MINUTE, max(ceil(verify.rate_window / MINUTE), LEAST_PERIODS) * MINUTE
    else:
        period, span = SHORT, next(span for span in SHORT_WINDOWS if span >= verify.rate_window)
    end = datetime.fromtimestamp(until.timestamp() // period.total_seconds() * period.total_seconds(), UTC)
    return Published(end - span, end, period)


def publication_delay(verify: Verify) -> timedelta:
    """Return how much later than the requests a whole window of figures can be there, at most."""
    window = published(verify, datetime.fromtimestamp(0, UTC))
    return window.span + 2 * window.period + verify.lag


def published_late(target: Target) -> bool:
    """Whether CloudWatch may be asked for a service's requests."""
    return any(target.has(source) for source in LATE)


def _moment(moment: datetime) -> float:
    return moment.timestamp() if moment.year > 1 else 0.0
