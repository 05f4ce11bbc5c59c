"""``runbook metrics``: how fast incidents are taken up and ended, and how procedures end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any

import click
from pydantic import BaseModel
from temporalio.client import Client, WorkflowExecutionStatus

from activities.temporal.runs import OPEN
from runbook_model.errors import SealedError
from runbook_model.incident.account import ENDED_WELL
from runbook_model.names import ids
from runbook_model.reports import Outcome
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.known_targets import check_known
from starter.client.runs import Run, find, of_scope
from starter.names import Scope, WholeNumber
from starter.printing import answer, note, say
from starter.target_options import takes_scope

Figures = dict[str, object]

LIMIT = 20_000
"""Plans, drills and what keeps house are no work on an outage."""


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
        return self.ended - self.opened if self.ended and self.outcome in ENDED_WELL else None


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


class Times(BaseModel):
    """What an incident writes into its memo."""

    opened: datetime
    acknowledged: datetime | None = None
    taken_up: datetime | None = None
    over: datetime | None = None


@click.command(
    "metrics", epilog=example("runbook metrics --days 90", "runbook metrics prod/ai-processor --json")
)
@takes_scope
@click.option(
    "--days",
    metavar="N",
    type=WholeNumber(1, 3650),
    default=30,
    show_default=True,
    help="Count what ended in the last N days.",
)
@takes_caller("--catalog", "--json")
def command(caller: Caller, *, scope: Scope, days: int) -> None:
    """Show MTTA, MTTR and outcomes.

    MTTA: from an incident's first alert until a person acknowledged it or a procedure started. MTTR: from the first
    alert until recovery; incidents without recovery are counted by their outcome and are in no mean. Temporal deletes
    what is older than its retention.
    """
    until = datetime.now(UTC)
    since = until - timedelta(days=days)
    query = _query(since, scope)
    figures = converse(lambda client: _measure(client, caller, scope, query, (since, until)))
    if caller.as_json:
        answer({"days": days, **figures})
    else:
        _say(figures, days)


def _query(since: datetime, scope: Scope) -> str:
    conditions = [
        f'({OPEN} OR CloseTime >= "{since:%Y-%m-%dT%H:%M:%SZ}")',
        *of_scope(scope),
    ]
    return " AND ".join(conditions)


async def _measure(
    client: Client, caller: Caller, scope: Scope, query: str, period: tuple[datetime, datetime]
) -> dict[str, Any]:
    runs, more = await find(client, query, LIMIT)
    if not runs:
        await check_known(client, caller.catalog, scope)
    if more:
        note(f"only the newest {LIMIT} runs are counted: ask for fewer days")
    counted = [
        run
        for run in runs
        if ids.is_counted(run.id) and run.status != WorkflowExecutionStatus.CONTINUED_AS_NEW
    ]
    measured = [await _measured(client, run) for run in counted]
    sealed = [str(item) for item in measured if isinstance(item, SealedError)]
    if sealed:
        note(
            f"left out: {count_of(len(sealed), 'incident')}, as their times are {'; and '.join(sorted(set(sealed)))}"
        )
    return measure([item for item in measured if isinstance(item, Measured)], *period)


async def _measured(client: Client, run: Run) -> Measured | SealedError:
    try:
        times = await run.memo_value(client, "times", Times)
    except SealedError as error:
        return error
    known = [at for at in (times.acknowledged, times.taken_up) if at] if times else []
    return Measured(
        procedure=run.procedure,
        service=run.service,
        environment=run.environment,
        opened=times.opened if times else run.started,
        ended=((times.over if times else None) or run.ended) if run.ended else None,
        outcome=run.outcome,
        taken_up=min(known, default=None),
    )


def _say(figures: dict[str, Any], days: int) -> None:
    every = figures["incidents"]
    say(
        f"Incidents of the last {days} days: {every['ended']} ended, {every['open']} open; {_outcomes_of(every)}"
    )
    say(f"  MTTA {_time(every, 'mtta')} · MTTR {_time(every, 'mttr')} (mean; median in brackets)")
    for title, key, columns in (
        ("By service", "services", ("environment", "service")),
        ("By procedure", "procedures", ("procedure", "environment", "service")),
        ("By week, from", "weeks", ("from",)),
    ):
        if figures[key]:
            say()
            say(title)
        for row in figures[key]:
            say(f"  {' '.join(row[column] for column in columns)}: {_row(row)}")


def _row(row: dict[str, Any]) -> str:
    parts = [f"{row['ended']} ended", *([f"{row['open']} open"] if row["open"] else []), _outcomes_of(row)]
    parts += [f"MTTA {_time(row, 'mtta')}", f"MTTR {_time(row, 'mttr')}"] if "mtta_seconds" in row else []
    parts += [f"took {_time(row, 'duration')}"] if "duration_seconds" in row else []
    return ", ".join(part for part in parts if part)


def _outcomes_of(row: dict[str, Any]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items()) or "no outcomes yet"


def _time(row: dict[str, Any], name: str) -> str:
    mean, middle = row[f"{name}_seconds"], row[f"{name}_median_seconds"]
    if mean is None:
        return "unknown"
    return f"{format_duration(timedelta(seconds=mean))} [{format_duration(timedelta(seconds=middle))}]"
