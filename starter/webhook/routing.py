"""From an alert as it was sent to the incident that it goes to: names are checked, words are bounded. Pure."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from runbook_model.catalog.catalog import Catalog
from runbook_model.catalog.policies import find_rule
from runbook_model.errors import UnknownTargetError
from runbook_model.incident.messages import Alert, AlertBatch
from runbook_model.names.ids import UNROUTED, incident_id
from runbook_model.text.plain_text import one_line
from runbook_model.text.redaction import HIDDEN, LOOKED_AT, excerpt, is_secret_name, redact
from starter.names import NAME
from starter.webhook.payload import Notification, SentAlert, UnusableAlert

UNKNOWN = "unknown"

ALERT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]{0,127}")

FIRST = ("alertname", "service", "environment", "severity")
"""Labels that are kept however many there are."""

LABELS = 40

LABEL_LENGTH = 300

ANNOTATIONS = 20

ANNOTATION_LENGTH = 1000

NAME_LENGTH = 128

URL_LENGTH = 1000

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Go's zero time, year 1, says "none"; no alert is older than Alertmanager."""


def read_alert(sent: SentAlert, catalog: Catalog, received: datetime, bound_to: str | None = None) -> Alert:
    """Return the alert with its target, or with the problem for which it has none."""
    labels = bounded(sent.labels, LABELS, LABEL_LENGTH, _in_rules(catalog))
    problem = find_problem(sent.labels, catalog) or _find_intrusion(sent.labels, bound_to)
    service, environment = UNROUTED if problem else (sent.labels["service"], sent.labels["environment"])
    name = sent.labels.get("alertname", "")
    return Alert(
        fingerprint=sent.identity,
        name=name if ALERT_NAME.fullmatch(name) or not problem else UNKNOWN,
        status=sent.status,
        service=service,
        environment=environment,
        severity=_severity(sent.labels) or UNKNOWN,
        starts_at=_within(sent.starts_at, received) or received,
        ends_at=_end(sent, received),
        labels=labels,
        annotations=bounded(sent.annotations, ANNOTATIONS, ANNOTATION_LENGTH),
        generator_url=_address(sent.generator_url),
        problem=problem,
    )


def unusable_alert(sent: UnusableAlert, received: datetime) -> Alert:
    """Return an alert that cannot be read as one for a human."""
    service, environment = UNROUTED
    name = sent.labels.get("alertname", "")
    return Alert(
        fingerprint=sent.identity,
        name=name if ALERT_NAME.fullmatch(name) else UNKNOWN,
        status=sent.status,
        service=service,
        environment=environment,
        severity=_severity(sent.labels) or UNKNOWN,
        starts_at=received,
        ends_at=received if sent.status == "resolved" else None,
        labels=bounded(sent.labels, LABELS, LABEL_LENGTH),
        problem=sent.problem,
    )


def find_problem(sent: Mapping[str, str], catalog: Catalog) -> str | None:
    """Say why an alert belongs to no target; None where it belongs to one."""
    for label in ("environment", "service"):
        if not sent.get(label):
            return f"it has no label {label}: add it to the alert's rule or to the scrape's labels"
        if not NAME.fullmatch(sent[label]):
            return f'its label {label} is not a name: "{excerpt_of(sent[label])}"; a name is 1 to 63 of a-z, 0-9 and -'
    if _severity(sent) is None:
        return f'its label severity is not a name of a-z, 0-9 and -: "{excerpt_of(sent["severity"])}"'
    try:
        catalog.target(sent["service"], sent["environment"])
    except UnknownTargetError as error:
        return str(error)
    if find_rule(catalog.alerts, sent.get("alertname", ""), sent) is None:
        name = excerpt_of(sent.get("alertname", ""))
        return f'no row of the alert matrix is about "{name}": add one to the catalog; `runbook catalog check` names the alerts without a row'
    return None


def _find_intrusion(sent: Mapping[str, str], bound_to: str | None) -> str | None:
    """Say that the sender does not speak for the alert's environment; None where it does."""
    if bound_to is None or sent["environment"] == bound_to:
        return None
    return (
        f"it is of {sent['environment']}, and came with a token that carries alerts of {bound_to} only:"
        " give the sender a token for it"
    )


def _in_rules(catalog: Catalog) -> frozenset[tuple[str, str]]:
    """Return labels with values that a rule of the matrix asks for: the catalog has them in plain text already."""
    return frozenset(pair for rule in catalog.alerts for pair in rule.labels.items())


def bounded(
    words: Mapping[str, str], most: int, longest: int, as_sent: frozenset[tuple[str, str]] = frozenset()
) -> dict[str, str]:
    """Keep so many pairs of words, none longer than that, without control characters and secrets; cuts are visible.

    Pairs of ``as_sent`` come first and stay as they are, since they are compared.
    """
    names = sorted(words, key=lambda name: ((name, words[name]) not in as_sent, name not in FIRST, name))
    return {
        excerpt(name, NAME_LENGTH): words[name]
        if (name, words[name]) in as_sent
        else _said(name, words[name][:LOOKED_AT], longest)
        for name in names[:most]
    }


@functools.lru_cache(maxsize=1024)  # the alerts of a storm say the same over and over
def _said(name: str, word: str, longest: int) -> str:
    """Return a word without what looks like a secret, by itself or by its name."""
    return HIDDEN if is_secret_name(name) else excerpt(word, longest)


def excerpt_of(name: str) -> str:
    """Return as much of what should be a name as a person needs to find where it comes from."""
    return excerpt(name, 80)


def _severity(labels: Mapping[str, str]) -> str | None:
    """Return the severity; ``unknown`` without one, None when it is no name."""
    severity = labels.get("severity", "").lower() or UNKNOWN
    return severity if NAME.fullmatch(severity) else None


def _end(sent: SentAlert, received: datetime) -> datetime | None:
    if sent.status == "firing":
        return None
    return _within(sent.ends_at, received) or received


def _within(moment: datetime | None, latest: datetime) -> datetime | None:
    """Return the moment, or the latest one that it can have been; None where it says nothing."""
    if moment is None or moment < EARLIEST:
        return None
    return min(moment, latest).astimezone(UTC)


def _address(url: str) -> str | None:
    """Return a link that is safe to show, or None."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    shown = len(url) <= URL_LENGTH and parts.scheme in {"http", "https"} and "@" not in parts.netloc
    return url if shown and one_line(url) == redact(url) == url else None


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
