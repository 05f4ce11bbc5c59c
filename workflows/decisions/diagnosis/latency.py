"""Why answers are slow."""

from __future__ import annotations

from runbook_model.catalog.catalog import Target
from runbook_model.measured.symptoms import LatencyRead, LoadRead, LogsRead, ResourcesRead
from workflows.decisions.database import DatabaseSigns
from workflows.decisions.diagnosis.cause import (
    Cause,
    Diagnosis,
    more_requests,
    names_database,
    names_dependencies,
    unknown,
    unread,
)


def classify_latency(
    target: Target,
    latency: LatencyRead,
    load: LoadRead,
    resources: ResourcesRead,
    logs: LogsRead,
    database: DatabaseSigns | None = None,
) -> Diagnosis:
    """Decide: load, resources, database, code-path, fine, or unknown.

    Code is to blame only when nothing else is: load, CPU, memory and the database must be known and usual. Sessions that
    were forgotten and hold what others need are to blame whatever else stands out.

    Args:
        target: whose thresholds hold.
        latency: how slow answers are.
        load: how much is requested.
        resources: what tasks use of their limits.
        logs: the error lines.
        database: what a look into the database shows, where the catalog names one.
    """
    limit = target.thresholds.p95_seconds
    doubts = unread(usual_requests=load.usual_rate, cpu=resources.cpu, memory=resources.memory, logs=logs)
    if latency.p95.now.value is None:
        return unknown(latency.summary, doubts=doubts)
    if latency.p95.now.within(limit):
        return Diagnosis(cause=Cause.FINE, because=(latency.summary,))
    if not latency.p95.now.above(limit):
        return unknown(latency.summary, doubts=doubts)
    surge, busy = more_requests(target, load), out_of_resources(target, resources)
    signs = {
        Cause.LOAD: surge,
        Cause.RESOURCES: None if surge else busy,  # more load explains busy tasks
        Cause.DATABASE: (database and database.trouble) or names_database(logs),
    }
    found = {cause: sign for cause, sign in signs.items() if sign}
    if database and database.trouble and database.forgotten:
        found = {Cause.DATABASE: "; ".join((database.trouble, *filter(None, (surge, busy))))}
    if len(found) > 1:
        return unknown(latency.summary, *found.values(), doubts=doubts)
    release = latency.onset.release if latency.p95.began_with_release(limit) else None
    for cause, sign in found.items():
        also = (busy,) if surge and busy else ()
        return Diagnosis(cause=cause, because=(sign, *also, latency.summary), doubts=doubts, release=release)
    if database and not database.known:
        return unknown(latency.summary, database.summary, doubts=doubts)
    return _in_the_code(latency, load, resources, logs, limit, release)


def out_of_resources(target: Target, resources: ResourcesRead) -> str | None:
    """Say which of CPU and memory is beyond its limit."""
    said = [
        f"{name} {100 * value:.0f} % (limit {100 * limit:g} %)"
        for name, value, limit in (
            ("CPU", resources.cpu.mean, target.thresholds.cpu),
            ("memory", resources.memory.most, target.thresholds.memory),
        )
        if value is not None and value > limit
    ]
    return " and ".join(said) or None


def _in_the_code(
    latency: LatencyRead,
    load: LoadRead,
    resources: ResourcesRead,
    logs: LogsRead,
    limit: float,
    release: str | None,
) -> Diagnosis:
    path = _slow_path(latency, limit)
    doubts = unread(usual_requests=load.usual_rate, cpu=resources.cpu, memory=resources.memory, logs=logs)
    ruled_out = load.growth is not None and resources.cpu.known and resources.memory.known and logs.known
    elsewhere = names_dependencies(logs)
    if not ruled_out or elsewhere or not (release or path):
        return unknown(
            latency.summary, load.summary, resources.summary, elsewhere or logs.summary, doubts=doubts
        )
    began = f"answers are slow since {release}" if release else ""
    usual = "load, CPU and memory are as usual"
    because = tuple(part for part in (began, path, usual, latency.summary) if part)
    return Diagnosis(cause=Cause.CODE_PATH, because=because, release=release)


def _slow_path(latency: LatencyRead, limit: float) -> str | None:
    """Name the endpoints that are slow while others are not."""
    slow = [item.endpoint for item in latency.slowest if item.p95 is not None and item.p95 > limit]
    quick = [
        item.endpoint
        for item in latency.slowest
        if item.p95 is not None and item.p95 <= limit and not item.at_least
    ]
    return f"only {', '.join(slow)} is slow, {', '.join(quick)} is not" if slow and quick else None
