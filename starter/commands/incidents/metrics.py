"""``runbook metrics``: MTTA, MTTR and outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import BaseModel
from temporalio.client import Client, WorkflowExecutionStatus

from activities.temporal.runs import OPEN
from runbook_model.errors import SealedError
from runbook_model.names import ids
from runbook_model.text.durations import format_duration
from runbook_model.text.sentences import count_of
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.known_targets import check_known
from starter.client.measures import Measured, measure
from starter.client.runs import Run, find, of_scope
from starter.names import Scope, WholeNumber
from starter.printing import answer, note, say
from starter.target_options import takes_scope

LIMIT = 20_000
"""Plans, drills and what keeps house are no work on an outage."""


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
        f"Incidents of the last {days} days: {every['ended']} ended, {every['open']} open; {_outcomes(every)}"
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
    parts = [f"{row['ended']} ended", *([f"{row['open']} open"] if row["open"] else []), _outcomes(row)]
    parts += [f"MTTA {_time(row, 'mtta')}", f"MTTR {_time(row, 'mttr')}"] if "mtta_seconds" in row else []
    parts += [f"took {_time(row, 'duration')}"] if "duration_seconds" in row else []
    return ", ".join(part for part in parts if part)


def _outcomes(row: dict[str, Any]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in row["outcomes"].items()) or "no outcomes yet"


def _time(row: dict[str, Any], name: str) -> str:
    mean, middle = row[f"{name}_seconds"], row[f"{name}_median_seconds"]
    if mean is None:
        return "unknown"
    return f"{format_duration(timedelta(seconds=mean))} [{format_duration(timedelta(seconds=middle))}]"
