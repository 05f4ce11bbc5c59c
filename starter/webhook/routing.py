"""Which incident each alert of a payload goes to. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from runbook_model.catalog.catalog import Catalog
from runbook_model.ids import UNROUTED, incident_id
from runbook_model.incident.messages import Alert, AlertBatch
from starter.webhook.payload import Notification, SentAlert
from starter.webhook.reading import read_alert, unusable_alert

MOST_BYTES = 256 * 1024
"""Of one signal: well below what Temporal takes, so that no storm is too large for it."""


@dataclass(frozen=True)
class Delivery:
    """What one call of the webhook brings to one incident."""

    environment: str
    service: str
    batches: tuple[AlertBatch, ...]
    """One, unless that would be too large for a signal."""

    @property
    def incident(self) -> str:
        """Id of the incident."""
        return incident_id(self.environment, self.service)

    @property
    def size(self) -> int:
        """How many bytes it adds to the incident's history."""
        return sum(len(batch.model_dump_json().encode()) for batch in self.batches)

    @property
    def alerts(self) -> int:
        """How many alerts it brings."""
        return sum(len(batch.alerts) for batch in self.batches)


def route(
    notification: Notification, catalog: Catalog, received: datetime, bound_to: str | None = None
) -> list[Delivery]:
    """Sort a payload's alerts by target; what has none, or was left out by the sender, goes to a human.

    Args:
        notification: what was sent.
        catalog: which targets there are.
        received: when it came.
        bound_to: the only environment that the sender speaks for; None: all of them.
    """
    targets: dict[tuple[str, str], list[Alert]] = {}
    for alert in _alerts(notification, catalog, received, bound_to):
        targets.setdefault((alert.environment, alert.service), []).append(alert)
    return [
        Delivery(
            environment,
            service,
            tuple(AlertBatch(alerts=part, received=received) for part in _parts(alerts)),
        )
        for (environment, service), alerts in targets.items()
    ]


def _alerts(
    notification: Notification, catalog: Catalog, received: datetime, bound_to: str | None
) -> Iterator[Alert]:
    for sent in notification.alerts:
        if isinstance(sent, SentAlert):
            yield read_alert(sent, catalog, received, bound_to)
        else:
            yield unusable_alert(sent, received)
    if notification.truncated:
        yield _truncated(notification, received)


def _truncated(notification: Notification, received: datetime) -> Alert:
    """Make an alert of what Alertmanager left out: nobody else would tell a human."""
    service, environment = UNROUTED
    return Alert(
        fingerprint=hashlib.sha256(notification.group_key.encode()).hexdigest()[:16],
        name="AlertsTruncated",
        status=notification.status,
        service=service,
        environment=environment,
        starts_at=received,
        ends_at=received if notification.status == "resolved" else None,
        problem=f"Alertmanager left out {notification.truncated} alerts of a group:"
        " set max_alerts to 0 in its webhook_configs",
    )


def _parts(alerts: Sequence[Alert]) -> Iterator[tuple[Alert, ...]]:
    part: list[Alert] = []
    size = 0
    for alert in alerts:
        more = len(alert.model_dump_json().encode())
        if part and size + more > MOST_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(alert)
        size += more
    yield tuple(part)
