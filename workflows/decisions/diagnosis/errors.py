"""Why requests fail, and why answers are slow."""

from __future__ import annotations

import re

from runbook_model.catalog.target import Target
from runbook_model.measured.revisions import RevisionsRead
from runbook_model.measured.symptoms import ErrorsRead, LatencyRead, LoadRead, LogsRead, ResourcesRead
from workflows.decisions.database import DatabaseSigns
from workflows.decisions.diagnosis.cause import (
    FEWEST_LINES,
    MAINLY,
    Cause,
    Diagnosis,
    more_cpu,
    more_requests,
    names_database,
    names_dependencies,
    unknown,
    unread,
)
from workflows.decisions.revisions import NAMED, BadOne, Compared, What, compare

OF_DEPENDENCIES = re.compile(
    r"database|db|sql|connection|timeout|dependency|upstream|pool|redis|queue", re.IGNORECASE
)
"""Error types that name something which the service relies on."""


def classify_errors(target: Target, errors: ErrorsRead, load: LoadRead, logs: LogsRead) -> Diagnosis:
    """Decide: bad-release, dependency, load, fine, or unknown.

    While traffic is shifted between two releases, the figures of each come first: both have the same load and dependencies.
    Errors that started with a release are the release's doing, whatever they are about: it is what changed. Only more
    requests at the same time, or another release that fails too, leave that open.
    """
    limit = target.thresholds.error_rate
    doubts = unread(usual_requests=load.usual_rate, logs=logs)
    compared, surge = compare(target, errors.revisions), more_requests(target, load)
    named = _by_figures(compared, "errors", errors.revisions, surge, errors.summary, doubts)
    if named or errors.share.now.value is None:
        return named or unknown(errors.summary, doubts=doubts)
    if errors.share.now.within(limit):
        return Diagnosis(cause=Cause.FINE, because=(errors.summary,))
    release = None if compared.bad is BadOne.BOTH else _began_with_release(errors, limit)
    dependency = _of_dependencies(errors) or names_dependencies(logs)
    if release and surge:
        return unknown(release, f"but {surge} too", doubts=doubts)
    if release:
        doubts = (*doubts, dependency) if dependency else doubts
        return Diagnosis(
            cause=Cause.BAD_RELEASE, because=(release,), doubts=doubts, release=errors.onset.release
        )
    busy = surge or more_cpu(target, load)
    if dependency and busy:
        return unknown(errors.summary, dependency, busy, doubts=doubts)
    if dependency:
        return Diagnosis(cause=Cause.DEPENDENCY, because=(dependency, errors.summary), doubts=doubts)
    if busy:
        return Diagnosis(cause=Cause.LOAD, because=(busy, errors.summary), doubts=doubts)
    return unknown(errors.summary, load.summary, logs.summary, doubts=doubts)


def _by_figures(
    compared: Compared,
    what: What,
    found: RevisionsRead | None,
    surge: str | None,
    summary: str,
    doubts: tuple[str, ...],
) -> Diagnosis | None:
    """Name the release that is coming, or leave it to a person where the old one is bad; None where neither is named.

    Where one answered after the other, a surge came between the two figures as the release did.
    """
    if found is None or what not in compared.by or compared.bad not in NAMED:
        return None
    if compared.bad is BadOne.OLD:
        return unknown(compared.summary, summary, doubts=doubts)
    if surge and not found.together:
        return unknown(compared.summary, f"but {surge} too", summary, doubts=doubts)
    release = found.coming.revision.release
    return Diagnosis(
        cause=Cause.BAD_RELEASE, because=(compared.summary, summary), doubts=doubts, release=release
    )


def _began_with_release(errors: ErrorsRead, limit: float) -> str | None:
    """Say how errors started with the release: by time, or side by side with the one before; both must not disagree."""
    onset, share = errors.onset, errors.share
    others = {name: value for name, value in errors.by_release.values.items() if name != onset.release}
    if onset.before is None or any(value > limit for value in others.values()):
        return None
    if share.began_with_release(limit):
        before, first = share.before.value or 0, share.first.value or 0
        return (
            f"errors started with {onset.release}: {100 * before:.1f} % before it, {100 * first:.1f} % in its "
            f"first window (limit {100 * limit:g} %)"
        )
    ours = errors.by_release.values.get(onset.release, 0)
    other_share = others.get(onset.before)
    # What failed before the release started did not start with it, whatever the two do now.
    if ours > limit and other_share is not None and not share.before.above(limit):
        return f"{100 * ours:.1f} % fail on {onset.release}, {100 * other_share:.1f} % on {onset.before} at the same time"
    return None


def _of_dependencies(errors: ErrorsRead) -> str | None:
    counted = errors.by_type.values
    named = {name: count for name, count in counted.items() if OF_DEPENDENCIES.search(name)}
    about, failed = sum(named.values()), sum(counted.values())
    if about < FEWEST_LINES or about < MAINLY * failed:
        return None
    return f"{round(about)} of {round(failed)} errors are of type {', '.join(sorted(named))}"


def classify_latency(
    target: Target,
    latency: LatencyRead,
    load: LoadRead,
    resources: ResourcesRead,
    logs: LogsRead,
    database: DatabaseSigns | None = None,
) -> Diagnosis:
    """Decide: bad-release, load, resources, database, code-path, fine, or unknown.

    While traffic is shifted between two releases, the figures of each come first. Code is to blame only when nothing else is: load, CPU, memory and the database must be known and usual. Sessions that
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
    compared, surge = compare(target, latency.revisions), more_requests(target, load)
    if named := _by_figures(compared, "latency", latency.revisions, surge, latency.summary, doubts):
        return named
    if latency.p95.now.value is None:
        return unknown(latency.summary, doubts=doubts)
    if latency.p95.now.within(limit):
        return Diagnosis(cause=Cause.FINE, because=(latency.summary,))
    if not latency.p95.now.above(limit):
        return unknown(latency.summary, doubts=doubts)
    busy = out_of_resources(target, resources)
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
