"""The alerts of an incident: one entry for each fingerprint, whatever repeats, overtakes or outlives it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Literal

from pydantic import BaseModel, Field

from runbook_model.catalog.policies import AlertRule, find_rule
from runbook_model.incident.messages import Alert
from runbook_model.messages import Message

MOST = 1000
"""So many alerts are distinguished; what they hold is bounded too, so that all of them fit into one payload."""
LONGEST = 240
LABELS_LONGEST = 400
"""Bytes, of a text and of all labels."""
SEVERITIES = ("critical", "warning", "info")
UNKNOWN_RESPONSE = {
    "critical": timedelta(0),
    "warning": timedelta(minutes=5),
    "info": timedelta(minutes=15),
}
"""How soon a person must be on an alert that is in no row of the matrix."""


class KeptAlert(Message):
    """What an incident keeps of an alert; the whole of it is in history."""

    fingerprint: str
    name: str
    status: Literal["firing", "resolved"]
    since: datetime
    """When the incident heard of it; a later firing of the same is heard of again."""
    starts_at: datetime
    ends_at: datetime | None = None
    resolved: datetime | None = None
    """When the incident heard that it fires no more."""
    received: datetime
    """By the clock of the receiver that brought the newest word of it: what it brought before is older."""
    reported_severity: str = "unknown"
    labels: dict[str, str] = Field(default_factory=dict)
    """Kept until the matrix is known."""
    words: str = ""
    impact: str | None = None
    problem: str | None = None
    placed: bool = False
    """Whether the matrix was asked; what follows is its answer."""
    severity: str = "unknown"
    respond_within: timedelta = UNKNOWN_RESPONSE["warning"]
    procedure: str | None = None
    place: int = 0
    """Its row of the matrix; one that is in none comes last."""

    @property
    def firing(self) -> bool:
        """Whether it fires."""
        return self.status == "firing"

    @property
    def rank(self) -> int:
        """How severe it is: 0 is worst; a severity that nobody knows counts as a warning."""
        known = self.severity in SEVERITIES
        return SEVERITIES.index(self.severity) if known else SEVERITIES.index("warning")

    @property
    def order(self) -> tuple[int, timedelta, int, datetime]:
        """Which of several counts most: the most severe, then the shortest response time, then the matrix's order."""
        return self.rank, self.respond_within, self.place, self.since


class AlertBook(BaseModel):
    """All alerts of an incident, by fingerprint."""

    kept: dict[str, KeptAlert] = Field(default_factory=dict)
    repeats: int = 0
    """How often something came that was known already."""
    untracked: int = 0
    """How many came that there was no room for: they fired, and when they are resolved nobody will notice."""

    def take(self, alerts: Iterable[Alert], received: datetime, now: datetime) -> bool:
        """Take what the receiver brought; returns whether that may change what the incident does."""
        before = self._gist
        for alert in alerts:
            self._take(alert, received, now)
        return self._gist != before

    def place(self, matrix: Sequence[AlertRule]) -> None:
        """Find the row of the matrix for every alert that has not been looked up yet."""
        for fingerprint, alert in self.kept.items():
            if not alert.placed:
                self.kept[fingerprint] = _placed(alert, matrix)

    @property
    def firing(self) -> list[KeptAlert]:
        """Those that fire, the one that counts most first."""
        return sorted((alert for alert in self.kept.values() if alert.firing), key=lambda alert: alert.order)

    @property
    def newest_first(self) -> list[KeptAlert]:
        """All of them: those that fire, then those that were resolved, the latest first."""
        resolved = [alert for alert in self.kept.values() if not alert.firing]
        return self.firing + sorted(resolved, key=lambda alert: alert.received, reverse=True)

    @property
    def all_resolved(self) -> bool:
        """Whether there were alerts and none of them fires."""
        return bool(self.kept) and not self.untracked and not any(item.firing for item in self.kept.values())

    def _take(self, alert: Alert, received: datetime, now: datetime) -> None:
        known = self.kept.get(alert.fingerprint)
        if known is None:
            if alert.status == "firing" and self._has_room(alert.name):
                self.kept[alert.fingerprint] = _kept(alert, received, now)
            elif alert.status == "firing":
                self.untracked += 1
            return
        if _is_stale(alert, received, known):
            self.repeats += 1
            return
        again = alert.status == "firing" and (not known.firing or alert.starts_at > known.starts_at)
        self.repeats += alert.status == known.status and not again
        fresh = _kept(alert, received, now if again else known.since)
        if not fresh.firing:
            # How bad it was is what it said while it fired: its last figures are of a service that recovers.
            said = {"words": known.words, "impact": known.impact}
            fresh = fresh.model_copy(update=said | {"resolved": known.resolved or now})
        answer = {"severity", "respond_within", "procedure", "place", "placed"}
        self.kept[alert.fingerprint] = (
            fresh.model_copy(update=known.model_dump(include=answer) | {"labels": {}})
            if known.placed
            else fresh
        )

    def _has_room(self, name: str) -> bool:
        """Make room by forgetting the alert that was resolved longest ago, else one of the most for a name that has none."""
        if len(self.kept) < MOST:
            return True
        resolved = [alert for alert in self.kept.values() if not alert.firing]
        if resolved:
            del self.kept[min(resolved, key=lambda alert: alert.received).fingerprint]
            return True
        names = Counter(alert.name for alert in self.kept.values())
        ((most, count),) = names.most_common(1)
        if name in names or count == 1:
            return False
        del self.kept[next(key for key, alert in reversed(self.kept.items()) if alert.name == most)]
        self.untracked += 1
        return True

    @property
    def _gist(self) -> tuple[object, ...]:
        firing = frozenset((item.name, item.reported_severity) for item in self.kept.values() if item.firing)
        return firing, self.all_resolved, self.untracked > 0


def _is_stale(alert: Alert, received: datetime, known: KeptAlert) -> bool:
    """Whether it was overtaken: by newer word, or by a firing that started after the one that it ends."""
    if received < known.received:
        return True
    return alert.status == "resolved" and known.firing and alert.starts_at < known.starts_at


def _kept(alert: Alert, received: datetime, since: datetime) -> KeptAlert:
    said = alert.annotations
    return KeptAlert(
        fingerprint=alert.fingerprint,
        name=alert.name,
        status=alert.status,
        since=since,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        received=received,
        reported_severity=alert.severity,
        labels=_few(alert.labels),
        # Why it belongs to no target comes first: that is what its human has to fix.
        words=_cut("; ".join(filter(None, (alert.problem, said.get("summary") or said.get("description"))))),
        impact=_cut(said["impact"]) if said.get("impact") else None,
        problem=_cut(alert.problem) if alert.problem else None,
    )


def _cut(text: str) -> str:
    return text.encode()[:LONGEST].decode(errors="ignore")


def _few(labels: dict[str, str]) -> dict[str, str]:
    """Keep as many labels as there is room for, in the receiver's order: the matrix rarely looks at more."""
    sizes = accumulate(len(f"{name}{value}".encode()) for name, value in labels.items())
    return {name: labels[name] for name, size in zip(labels, sizes, strict=True) if size <= LABELS_LONGEST}


def _placed(alert: KeptAlert, matrix: Sequence[AlertRule]) -> KeptAlert:
    rule = find_rule(matrix, alert.name, alert.labels)
    if rule is None:
        severity = alert.reported_severity
        within = UNKNOWN_RESPONSE.get(severity, UNKNOWN_RESPONSE["warning"])
        answer: dict[str, object] = {"severity": severity, "respond_within": within, "place": len(matrix)}
    else:
        answer = {
            "severity": rule.severity,
            "respond_within": rule.respond_within,
            "procedure": rule.procedure,
            "place": list(matrix).index(rule),
        }
    return alert.model_copy(update=answer | {"placed": True, "labels": {}})
