"""How a release of the demo service misbehaves: read from its container environment and from nowhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


class FaultError(Exception):
    """A FAULT_* variable holds something that cannot be meant."""


@dataclass(frozen=True)
class Faults:
    """What is wrong with this release; the default is nothing."""

    error_rate: float = 0.0
    """Share of requests that answer 500, 0 to 1."""
    latency_seconds: float = 0.0
    """Added to every request."""
    crash_after_seconds: float | None = None
    """The process exits with code 1 so long after its start; None is never."""
    unhealthy: bool = False
    """``/health`` answers 503 while the service works."""
    cpu: float = 0.0
    """Cores burnt."""
    leak_mb_per_second: float = 0.0
    """Memory taken and never given back."""
    requests_at_once: int = 0
    """Requests that a task works on at once; more are refused with 503. 0 is no bound."""
    db_connections: int = 0
    """Connections that each task takes and leaves idle in a transaction; none where there is no database."""


def faults_from(environment: Mapping[str, str]) -> Faults:
    """Read the FAULT_* variables.

    Raises:
        FaultError: names the variable and what it may hold.
    """
    return Faults(
        error_rate=_number(environment, "FAULT_ERROR_RATE", most=1.0),
        latency_seconds=_number(environment, "FAULT_LATENCY_SECONDS"),
        crash_after_seconds=(
            _number(environment, "FAULT_CRASH_AFTER_SECONDS")
            if environment.get("FAULT_CRASH_AFTER_SECONDS")
            else None
        ),
        unhealthy=_flag(environment, "FAULT_UNHEALTHY"),
        cpu=_number(environment, "FAULT_CPU"),
        leak_mb_per_second=_number(environment, "FAULT_LEAK_MB_PER_SECOND"),
        requests_at_once=int(_number(environment, "FAULT_REQUESTS_AT_ONCE")),
        db_connections=int(_number(environment, "FAULT_DB_CONNECTIONS")),
    )


def _number(environment: Mapping[str, str], name: str, most: float = 1e6) -> float:
    text = environment.get(name, "") or "0"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most:
        raise FaultError(f"{name}={text!r} must be a number from 0 to {most:g}")
    return number


def _flag(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "").lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise FaultError(f"{name}={text!r} must be true or false")
