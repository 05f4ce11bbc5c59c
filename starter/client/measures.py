"""How fast incidents are taken up and ended, and how procedures end: runs in, figures out. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median

from runbook_model.reports import Outcome

OVER = frozenset({Outcome.RECOVERED, Outcome.NOT_NEEDED})
Figures = dict[str, object]


@dataclass(frozen=True)
class Measured:
    """One incident, or one run of a procedure."""

    procedure: str
    """``incident``, or the procedure's name."""
    service: str
    environment: str
    opened: datetime
    ended: datetime | None = None
    outcome: Outcome | None = None
    taken_up: datetime | None = None
    """When a person acknowledged it, or a procedure was on it, whichever came first."""

    @property
    def is_incident(self) -> bool:
        """Whether it is an incident."""
        return self.procedure == "incident"

    @property
    def to_acknowledge(self) -> timedelta | None:
        """How long nobody and nothing was on it."""
        return self.taken_up - self.opened if self.taken_up else None

    @property
    def to_recover(self) -> timedelta | None:
        """How long it took to be over; None where it never was by itself."""
        return self.ended - self.opened if self.ended and self.outcome in OVER else None


def measure(runs: Sequence[Measured], since: datetime, until: datetime) -> Figures:
    """Work out every figure."""
    incidents = [run for run in runs if run.is_incident]
    procedures = [run for run in runs if not run.is_incident]
    return {
        "since": _stamp(since),
        "until": _stamp(until),
        "incidents": _incidents(incidents),
        "services": [
            {"service": service, "environment": environment, **_incidents(some)}
            for (service, environment), some in _grouped(
                incidents, lambda run: (run.service, run.environment)
            )
        ],
        "procedures": [
            {"procedure": name, "service": service, "environment": environment, **_procedures(some)}
            for (name, service, environment), some in _grouped(
                procedures, lambda run: (run.procedure, run.service, run.environment)
            )
        ],
        "weeks": [
            {
                "from": week,
                **_incidents([item for item in some if item.is_incident]),
                "procedures": _outcomes(item for item in some if not item.is_incident),
            }
            for (week,), some in _grouped([run for run in runs if run.ended], lambda run: (_week(run),))
        ],
    }


def _incidents(runs: Sequence[Measured]) -> Figures:
    return {
        **_counts(runs),
        **_times("mtta", [run.to_acknowledge for run in runs]),
        **_times("mttr", [run.to_recover for run in runs]),
    }


def _procedures(runs: Sequence[Measured]) -> Figures:
    return {**_counts(runs), **_times("duration", [run.ended - run.opened for run in runs if run.ended])}


def _counts(runs: Sequence[Measured]) -> Figures:
    return {
        "ended": sum(run.ended is not None for run in runs),
        "open": sum(run.ended is None for run in runs),
        "outcomes": _outcomes(runs),
    }


def _outcomes(runs: Iterable[Measured]) -> dict[str, int]:
    ended = Counter(str(run.outcome or "unknown") for run in runs if run.ended)
    return dict(sorted(ended.items()))


def _times(name: str, spans: Sequence[timedelta | None]) -> Figures:
    """Work out mean and median; unknown is None, never 0."""
    seconds = [span.total_seconds() for span in spans if span is not None]
    return {
        f"{name}_seconds": round(fmean(seconds), 3) if seconds else None,
        f"{name}_median_seconds": round(median(seconds), 3) if seconds else None,
    }


def _grouped(
    runs: Sequence[Measured], key: Callable[[Measured], tuple[str, ...]]
) -> list[tuple[tuple[str, ...], list[Measured]]]:
    groups: dict[tuple[str, ...], list[Measured]] = defaultdict(list)
    for run in runs:
        groups[key(run)].append(run)
    return sorted(groups.items())


def _week(run: Measured) -> str:
    """Return the Monday of the week in which a run ended."""
    assert run.ended is not None
    day = run.ended.astimezone(UTC).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
