"""What an incident counts of itself: alerts that reached it, and how long it took until it was taken up and over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from temporalio import workflow

from activities.telemetry import metric_names
from runbook_model.incident.account import Account
from runbook_model.incident.messages import Alert


def take_and_count(account: Account, alerts: Sequence[Alert], received: datetime) -> bool:
    """Take alerts into the account, and count what was news; returns whether that may change what is done."""
    book = account.alerts
    repeats, untracked = book.repeats, book.untracked
    stirs = book.take(alerts, received, workflow.now())
    known, no_room = book.repeats - repeats, book.untracked - untracked
    counter = metric_names.ALERTS.on(workflow.metric_meter())
    for result, count in (("news", len(alerts) - known - no_room), ("known", known), ("no-room", no_room)):
        counter.add(count, _target(account) | {"result": result})
    return stirs


def count_end(account: Account) -> None:
    """Count how long it took until somebody had it, or a procedure worked at it, and until it was over."""
    meter = workflow.metric_meter()
    began = [remediation.began for remediation in account.remediations[:1]]
    taken = [account.acknowledged.at] if account.acknowledged else []
    if first := min([*began, *taken], default=None):
        took = (first - account.opened).total_seconds()
        metric_names.ACKNOWLEDGED_AFTER.on(meter).record(took, _target(account))
    if account.ending and account.ending_since:
        took = (account.ending_since - account.opened).total_seconds()
        metric_names.RESOLVED_AFTER.on(meter).record(
            took, _target(account) | {"outcome": account.ending.outcome.value}
        )


def _target(account: Account) -> dict[str, str]:
    return {"environment": account.environment, "service": account.service}
