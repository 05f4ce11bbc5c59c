"""Why requests fail."""

from __future__ import annotations

import re

from runbook_model.catalog.catalog import Target
from runbook_model.measured.symptoms import ErrorsRead, LoadRead, LogsRead
from workflows.decisions.diagnosis.cause import (
    FEWEST_LINES,
    MAINLY,
    Cause,
    Diagnosis,
    more_cpu,
    more_requests,
    names_dependencies,
    unknown,
    unread,
)

OF_DEPENDENCIES = re.compile(
    r"database|db|sql|connection|timeout|dependency|upstream|pool|redis|queue", re.IGNORECASE
)
"""Error types that name something which the service relies on."""


def classify_errors(target: Target, errors: ErrorsRead, load: LoadRead, logs: LogsRead) -> Diagnosis:
    """Decide: bad-release, dependency, load, fine, or unknown.

    Errors that started with a release are the release's doing, whatever they are about: it is what changed. Only more
    requests at the same time, or another release that fails too, leave that open.
    """
    limit = target.thresholds.error_rate
    doubts = unread(usual_requests=load.usual_rate, logs=logs)
    if errors.share.now.value is None:
        return unknown(errors.summary, doubts=doubts)
    if errors.share.now.within(limit):
        return Diagnosis(cause=Cause.FINE, because=(errors.summary,))
    release = _began_with_release(errors, limit)
    dependency = _of_dependencies(errors) or names_dependencies(logs)
    surge = more_requests(target, load)
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
