"""Which run, activity and attempt sends something: it stands in the other side's log, next to what was asked."""

from __future__ import annotations

from temporalio import activity


def attribution() -> str:
    """Return ``run/… activity/… attempt/…`` as products of a user agent; empty outside of activities of a run."""
    if not activity.in_activity():
        return ""
    info = activity.info()
    if not info.workflow_run_id:
        return ""
    return f"run/{info.workflow_run_id} activity/{info.activity_id} attempt/{info.attempt}"
