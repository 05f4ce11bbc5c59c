"""The figures of a service's SQS queue: one call for all of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from activities.cloudwatch.metric_data import not_whole, query, read_points
from runbook_model.catalog.target import Target
from runbook_model.measured.publishing import MINUTE, Published, published
from runbook_model.measured.queueing import QueueFigures

if TYPE_CHECKING:
    from activities.aws.clients import AwsClients

NAMESPACE = "AWS/SQS"
FIGURES = {
    "age": ("ApproximateAgeOfOldestMessage", "Maximum"),
    "waiting": ("ApproximateNumberOfMessagesVisible", "Maximum"),
    "sent": ("NumberOfMessagesSent", "Sum"),
    "deleted": ("NumberOfMessagesDeleted", "Sum"),
}


def window_of(target: Target, now: datetime, since: datetime | None = None) -> Published:
    """Return the last minutes that are published, without those before a moment; SQS has no shorter periods."""
    verify = target.verify
    minutes = verify.model_copy(update={"rate_window": max(verify.rate_window, MINUTE)})
    window = published(minutes, now - verify.lag)
    return window if since is None else window._replace(begin=max(window.begin, since))


def read_queue(clients: AwsClients, target: Target, window: Published) -> QueueFigures:
    """Read a queue's figures in a window; blocks.

    Raises:
        OutsideError: CloudWatch cannot be read.
    """
    if window.begin >= window.end:
        return QueueFigures()
    dimensions = {"QueueName": target.queue or ""}
    queries = [query(name, NAMESPACE, figure, dimensions, MINUTE) for name, figure in FIGURES.items()]
    doing = f"read the figures of the queue {target.queue} from CloudWatch"
    points, states = read_points(clients, target, queries, (window.begin, window.end), doing)
    return QueueFigures(**points, why=not_whole(states)).within(window)


def question(target: Target, window: Published) -> str:
    """Return what is asked, as a report cites it."""
    return (
        f"GetMetricData {NAMESPACE} of {target.queue}, {window.begin:%H:%M:%S} to {window.end:%H:%M:%S} UTC"
    )
