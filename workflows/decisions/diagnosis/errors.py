"""Why requests fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.decisions.diagnosis.cause import Cause, Diagnosis, unknown

if TYPE_CHECKING:
    from activities.catalog import Target
    from activities.symptoms import ErrorsRead, LoadRead, LogsRead


def classify_errors(target: Target, errors: ErrorsRead, load: LoadRead, logs: LogsRead) -> Diagnosis:
    """Decide: bad-release, dependency, load, fine, or unknown."""
    limit = target.thresholds.error_rate
    if errors.share.now.value is None:
        return unknown(errors.told)
    if errors.share.now.within(limit):
        return Diagnosis(cause=Cause.FINE, because=(errors.told,))
    if errors.share.began_with_release(limit):
        return Diagnosis(cause=Cause.BAD_RELEASE, because=(errors.told,), release=errors.onset.release)
    return unknown(errors.told, load.told, logs.told)
