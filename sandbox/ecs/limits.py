"""How many tasks a service may and must have, how often tasks start again, and how long the stages of a rollout last."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sandbox.ecs.names import Fields

FIRST_WAIT_SECONDS = 0.25

LONGEST_WAIT_SECONDS = 4.0


@dataclass(frozen=True)
class Pace:
    """How long the stages of a rollout last at least, so that callers can see them: in all about three seconds."""

    pending_seconds: float = 0.8
    """A task is PENDING."""
    drain_seconds: float = 1.0
    """A serving task that is replaced continues serving (DEACTIVATING), as behind a target group."""
    steady_seconds: float = 1.2
    """Everything is as wanted before a deployment is COMPLETED."""
    minute_seconds: float = 2.0
    """A minute of bake times, steps and hooks."""
    stage_seconds: float = 0.3
    """A lifecycle stage of a deployment that shifts traffic."""


def most_tasks(configuration: Fields, desired: int) -> int:
    """Return how many tasks may exist at once: ``maximumPercent``, rounded down."""
    return math.floor(desired * int(configuration["maximumPercent"]) / 100)


def fewest_healthy(configuration: Fields, desired: int) -> int:
    """Return how many tasks must stay healthy: ``minimumHealthyPercent``, rounded up."""
    return min(desired, math.ceil(desired * int(configuration["minimumHealthyPercent"]) / 100))


def failures_allowed(configuration: Fields, desired: int) -> int:
    """Return at how many failed tasks the circuit breaker trips: half the tasks, between 3 and 200, by default."""
    threshold = configuration.get("deploymentCircuitBreaker", {}).get("thresholdConfiguration")
    kind, value = (threshold["type"], threshold["value"]) if threshold else ("BOUNDED_PERCENT", 50)
    if kind == "COUNT":
        return max(1, int(value))
    share = math.ceil(desired * int(value) / 100)
    return max(1, share) if kind == "UNBOUNDED_PERCENT" else min(200, max(3, share))


def wait_after(deaths: int) -> float:
    """Return the seconds until the next start after so many deaths in a row."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(deaths - 1, 10)) if deaths else 0.0
