"""Request rates: a token bucket per action, as AWS documents them for ECS."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.ecs.errors import ApiError

RATES: dict[str, tuple[int, int]] = {
    "UpdateService": (50, 5),
    "CreateService": (50, 5),
    "DeleteService": (50, 5),
    "DescribeServices": (100, 20),
    "ListServices": (100, 20),
    "DescribeTasks": (100, 20),
    "ListTasks": (100, 20),
    "RegisterTaskDefinition": (20, 1),
    "DeregisterTaskDefinition": (20, 1),
    "DeleteTaskDefinitions": (20, 1),
    "CreateCluster": (20, 1),
    "DeleteCluster": (20, 1),
    "StopTask": (100, 40),
}
"""Burst and sustained calls per second, by action."""
OTHERS = (50, 20)


@dataclass
class _Bucket:
    tokens: float
    at: float


class Throttle:
    """Counts calls; the time comes from a clock so that a test need not wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, action: str) -> None:
        """Take one token.

        Raises:
            ApiError: ``ThrottlingException``: none is left.
        """
        burst, sustained = RATES.get(action, OTHERS)
        now = self._clock()
        bucket = self._buckets.setdefault(action, _Bucket(burst, now))
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * sustained)
        bucket.at = now
        if bucket.tokens < 1:
            raise ApiError("ThrottlingException", "Rate exceeded")
        bucket.tokens -= 1
