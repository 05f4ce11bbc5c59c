"""What is measured of a service, once for verification and for diagnosis, and the reading that it makes. Pure.

Verification holds a measurement against the catalog's thresholds: that is a reading. Diagnosis takes the same
measurement as evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.measured.evidence import Figure
from runbook_model.measured.readings import KNOWN, Kind, Quality, Reading
from runbook_model.measured.symptoms import LogsRead
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of

ROUNDING = 1e-9
"""A share this much over its limit is the limit, as division left it."""
SHORTEST = timedelta(seconds=10)
"""Less time than this is not made into a rate a minute."""
LABEL = 200
"""Characters of a value that a service gives a label: a path that somebody asked for, the name of an error."""
EXCERPT = 3
"""Log lines that a reading shows."""
Resource = Literal["cpu", "memory"]
NAMES: dict[Resource, str] = {"cpu": "CPU", "memory": "memory"}


class Measurement(Figure):
    """One number, with the requests that stand behind it."""

    requests: float | None = None
    """How many there were; Prometheus extrapolates, so this need not be whole. None where it is not known."""
    failed: float | None = None
    """How many of them failed."""
    by_type: dict[str, float] = Field(default_factory=dict)
    """Failed requests of each kind, where the source says that too."""
    window: timedelta = timedelta(0)
    uncounted: bool = False
    """Whether requests are counted and only their failures are not."""
    note: str = ""
    """What is to be said of the source, if anything."""
    bad: str = ""
    """What else the source saw that is bad, whatever the number says."""
    unsure: str = ""
    """What keeps a good number from being good."""
    waiting: bool = False
    """Whether it has no data yet of the time that counts, and will have it."""

    def is_bad(self, limit: float) -> bool:
        """Whether it is known to be bad: above a limit, or for another reason."""
        return self.value is not None and (self.value > limit + ROUNDING or bool(self.bad))

    def if_enough(self, wanted: int) -> Measurement:
        """Return the measurement without its number where there were fewer requests than wanted."""
        if self.quality == "error" or self.requests is None or round(self.requests) >= wanted:
            return self
        few = f"{count_of(round(self.requests), 'request')} in {format_duration(self.window)}"
        why = ", ".join(filter(None, (few, f"{wanted} are needed", self.note)))
        return self.unanswered(why, value=None)


class Probes(Fact):
    """Requests that the product itself sent."""

    sent: int
    failed: int = 0
    """Without an answer in time, or with a 5xx."""
    refused: int | None = None
    """The 4xx status of a probe that the service does not accept: the catalog's probe is wrong."""
    slowest: float = 0.0
    """Seconds that the slowest of them took."""


def missing(seen: Measurement, target: Target) -> int:
    """How many requests are missing to say something; 0 when there are enough."""
    return max(0, target.thresholds.min_requests - round(seen.requests or 0))


def error_reading(seen: Measurement, probes: Probes | None, target: Target, now: datetime) -> Reading:
    """Hold the share of failed requests against the limit, together with probes where requests were too few."""
    if probes and not probes.refused:
        failed, requests = probes.failed + (seen.failed or 0), probes.sent + (seen.requests or 0)
        held = _held(failed / requests, requests, seen, target, now)
        detail = (
            f"{held.detail}; {probes.sent} of them were probes ({probes.failed} failed), because {seen.why}"
        )
        return held.model_copy(update={"source": "probe", "detail": detail})
    if seen.value is not None and seen.requests is not None:
        held = _held(seen.value, seen.requests, seen, target, now)
        quality = held.quality
        if seen.bad:
            quality = Quality.BAD
        elif seen.unsure and quality is Quality.GOOD:
            quality = Quality.NO_DATA
        words = ", ".join(part for part in (held.detail, seen.bad, seen.unsure, seen.note) if part)
        return held.model_copy(update={"quality": quality, "detail": words})
    refused = f"; {_refused(probes)}" if probes else ""
    return _reading("error-rate", seen, f"{seen.why}{refused}", target.thresholds.error_rate, now)


def latency_reading(p95: Measurement, probes: Probes | None, target: Target, now: datetime) -> Reading:
    """Hold what is known of the answers' times against the limit: requests and probes must both be quick.

    Where the catalog says that latency is not known, only what probes say decides.
    """
    limit = target.thresholds.p95_seconds
    words, known = [_p95(p95)], [] if p95.value is None else [p95.value]
    if probes and probes.refused:
        words.append(_refused(probes))
    elif probes and probes.sent:
        known.append(probes.slowest)
        failed = f", {probes.failed} failed" if probes.failed else ""
        words.append(f"{count_of(probes.sent, 'probe')} took at most {probes.slowest:.2f}s{failed}")
    bad = bool(probes and probes.failed) or any(seconds > limit for seconds in known)
    unknown = Quality.ERROR if p95.quality == "error" and not probes else Quality.NO_DATA
    good = known and not p95.at_least
    return Reading(
        kind="latency",
        quality=Quality.BAD if known and bad else Quality.GOOD if good else unknown,
        value=max(known, default=None),
        limit=limit,
        detail=f"{'; '.join(words)} (limit {limit:g}s)",
        source="probe" if p95.value is None and known else p95.source,
        query=p95.query or None,
        decides=target.convention.latency is not None or bool(known or bad),
        at=now,
    )


def cross_checked(first: Reading, others: Sequence[Reading], *, waiting: Sequence[str] = ()) -> Reading:
    """Hold a reading against what later sources say of the same: good needs all that have data.

    Args:
        first: of the source that measures.
        others: of the sources that check it.
        waiting: those that have no data yet.
    """
    known = [item for item in others if item.quality in KNOWN]
    if first.quality not in KNOWN:
        return first
    if any(item.quality is not first.quality for item in known):
        words = "; ".join(f"{item.source}: {item.detail}" for item in (first, *known))
        said = f"sources contradict each other: {words}"
        return first.model_copy(update={"quality": Quality.NO_DATA, "detail": said, "check": "contradicted"})
    detail = "; ".join([first.detail, *(f"{item.source}: {item.detail}" for item in known)])
    if waiting and first.quality is Quality.GOOD:
        return first.model_copy(
            update={"detail": f"{detail}; {', '.join(waiting)}: not yet", "check": "waiting"}
        )
    return first.model_copy(update={"detail": detail})


def use_reading(
    resource: Resource, prometheus: Figure, other: Figure, limit: float, now: datetime
) -> Reading:
    """Hold what is known of CPU or memory against the limit: bad if one source is above it."""
    known = [(item, item.value) for item in (prometheus, other) if item.value is not None]
    said = [f"{100 * value:.0f} % by {item.source}" for item, value in known]
    words = " and ".join(said) or f"{prometheus.why}; {other.why}"
    unknown = Quality.ERROR if prometheus.quality == other.quality == "error" else Quality.NO_DATA
    above = any(value > limit for _, value in known)
    source = known[0][0] if known else prometheus
    return Reading(
        kind=resource,
        quality=(Quality.BAD if above else Quality.GOOD) if known else unknown,
        value=max((value for _, value in known), default=None),
        limit=limit,
        detail=f"{NAMES[resource]} {words} (limit {100 * limit:g} %)",
        source=source.source,
        query=source.query or None,
        at=now,
    )


def log_reading(found: LogsRead, now: datetime) -> Reading:
    """Say how many error lines a minute there were; lines never decide alone."""
    known = found.known
    bad = known and found.count
    return Reading(
        kind="log-errors",
        quality=Quality.BAD if bad else Quality.GOOD if known else Quality(found.quality),
        value=found.count / (max(found.span, SHORTEST) / timedelta(minutes=1)) if known else None,
        detail=found.lines if known else found.why,
        source="logs",
        excerpt=found.newest[-EXCERPT:],
        decides=False,
        at=now,
    )


def _held(share: float, requests: float, seen: Measurement, target: Target, now: datetime) -> Reading:
    limit = target.thresholds.error_rate
    detail = f"{100 * share:.1f} % of {count_of(round(requests), 'request')} failed (limit {100 * limit:g} %)"
    held = _reading("error-rate", seen, detail, limit, now)
    quality = Quality.BAD if share > limit + ROUNDING else Quality.GOOD
    return held.model_copy(update={"quality": quality, "value": share})


def _reading(kind: Kind, seen: Figure, detail: str, limit: float, now: datetime) -> Reading:
    quality = Quality.ERROR if seen.quality == "error" else Quality.NO_DATA
    return Reading(
        kind=kind, quality=quality, limit=limit, detail=detail, source=seen.source, query=seen.query or None, at=now
    )  # fmt: skip


def _p95(p95: Measurement) -> str:
    if p95.value is None:
        return p95.why
    bound, beyond = ("at least ", ": beyond the histogram's highest bucket") if p95.at_least else ("", "")
    return f"p95 {bound}{p95.value:.2f}s of {count_of(round(p95.requests or 0), 'request')}{beyond}"


def _refused(probes: Probes) -> str:
    return f"the probe was answered {probes.refused}: correct probe in the catalog"
