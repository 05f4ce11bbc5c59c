"""What a load balancer counts, second by second, and the figures that CloudWatch makes of it.

An AWS load balancer publishes every 60 s, and a figure can be read one to three minutes later. Here a period is 5 s, and it
can be read 3 s after its end.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil

PERIOD_SECONDS = 5
LAG_SECONDS = 3
KEPT_SECONDS = 3600
Values = Callable[["Second"], list[float]]
"""The values of one second that a figure is made of."""
Known = dict[str, Values]


def _answers(kind: int) -> Values:
    return lambda second: [1.0] * second.answers[kind]


def _own_errors(status: int) -> Values:
    return lambda second: [1.0] * second.own_errors[status]


OF_THE_GROUP: Known = {
    "RequestCount": lambda second: [1.0] * second.requests,
    "HTTPCode_Target_5XX_Count": lambda second: [1.0] * second.answers[5],
    "TargetConnectionErrorCount": lambda second: [1.0] * second.refused,
    "TargetResponseTime": lambda second: second.seconds,
    "HealthyHostCount": lambda second: second.healthy,
    "UnHealthyHostCount": lambda second: second.unhealthy,
}
"""Figures of a target group behind a load balancer."""
OF_THE_BALANCER: Known = {f"HTTPCode_ELB_{status}_Count": _own_errors(status) for status in (502, 503, 504)}
"""Figures of a load balancer as a whole: what it answered itself."""
OF_SERVICE_CONNECT: Known = {
    "RequestCount": lambda second: [1.0] * second.requests,
    **{f"HTTPCode_Target_{kind}XX_Count": _answers(kind) for kind in (2, 3, 4, 5)},
    "TargetResponseTime": lambda second: [1000 * seconds for seconds in second.seconds],
}
"""Figures of a discovery name in Service Connect, whose times are milliseconds."""


@dataclass
class Second:
    """What happened in one second."""

    at: int
    requests: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    """Of targets, by the first digit of their status."""
    refused: int = 0
    own_errors: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    healthy: list[float] = field(default_factory=list)
    unhealthy: list[float] = field(default_factory=list)


class Figures:
    """One load balancer's figures of the last hour."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._now = clock
        self._seconds: deque[Second] = deque(maxlen=KEPT_SECONDS)

    def forwarded(self, status: int, seconds: float) -> None:
        """Count a request that a target answered."""
        second = self._second()
        second.requests += 1
        second.answers[status // 100] += 1
        second.seconds.append(seconds)

    def failed(self, status: int, *, chosen: bool, refused: bool = False) -> None:
        """Count a request that the load balancer had to answer itself.

        Args:
            status: 502, 503 or 504.
            chosen: whether a target had got it.
            refused: whether the target did not accept the connection.
        """
        second = self._second()
        second.own_errors[status] += 1
        second.requests += chosen
        second.refused += refused

    def hosts(self, healthy: int, unhealthy: int) -> None:
        """Record how many targets are healthy, and how many are not."""
        second = self._second()
        second.healthy.append(float(healthy))
        second.unhealthy.append(float(unhealthy))

    def statistics(
        self, values_of: Values, stat: str, start: float, end: float, period: int
    ) -> list[tuple[float, float]]:
        """Return a figure's statistic for each period from ``start`` on that has data, oldest first.

        Raises:
            ValueError: CloudWatch has no such statistic.
        """
        published = (self._now() - LAG_SECONDS) // PERIOD_SECONDS * PERIOD_SECONDS
        seen = [second for second in self._seconds if start <= second.at < published]
        points: list[tuple[float, float]] = []
        while start < end:
            values = [
                value for second in seen if start <= second.at < start + period for value in values_of(second)
            ]
            if values:
                points.append((start, statistic(stat, values)))
            start += period
        return points

    def _second(self) -> Second:
        now = int(self._now())
        if not self._seconds or self._seconds[-1].at != now:
            self._seconds.append(Second(now))
        return self._seconds[-1]


def statistic(stat: str, values: Iterable[float]) -> float:
    """Return one statistic of some values: Sum, Average, Minimum, Maximum, SampleCount or a percentile as ``p95``.

    Raises:
        ValueError: CloudWatch has no such statistic.
    """
    ordered = sorted(values)
    match stat:
        case "Sum":
            return sum(ordered)
        case "Average":
            return sum(ordered) / len(ordered)
        case "Minimum":
            return ordered[0]
        case "Maximum":
            return ordered[-1]
        case "SampleCount":
            return float(len(ordered))
    if not stat.startswith("p"):
        raise ValueError(stat)
    share = float(stat[1:]) / 100
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
