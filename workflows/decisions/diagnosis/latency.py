"""Why answers are slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.decisions.diagnosis.cause import Cause, Diagnosis, unknown

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.symptoms import LatencyRead, LoadRead, LogsRead, ResourcesRead


def classify_latency(
    target: Target,
    latency: LatencyRead,
    load: LoadRead,
    resources: ResourcesRead,
    logs: LogsRead,
    database: str | None = None,
) -> Diagnosis:
    """Decide: load, resources, database, code-path, fine, or unknown.

    Args:
        target: whose thresholds hold.
        latency: how slow answers are.
        load: how much is requested.
        resources: what tasks use of their limits.
        logs: the error lines.
        database: what is wrong with the database, where it was read and something is.
    """
    if latency.p95.now.value is None:
        return unknown(latency.told)
    if latency.p95.now.within(target.thresholds.p95_seconds):
        return Diagnosis(cause=Cause.FINE, because=(latency.told,))
    if database:
        return Diagnosis(cause=Cause.DATABASE, because=(latency.told, database))
    return unknown(latency.told, load.told, resources.told, logs.told)
