"""``runbook list``: open and ended runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click
from temporalio.client import Client

from activities.temporal.runs import OPEN
from runbook_model.names import ids
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.known_targets import check_known
from starter.client.run_view import stamp
from starter.client.runs import Run, find, of_scope
from starter.names import Scope, WholeNumber
from starter.printing import answer, clock, note, on_terminal, say, show_rows
from starter.target_options import takes_scope

COLUMNS = ("id", "procedure", "service", "environment", "state", "outcome", "started", "ended")
SHOWN = ("id", "procedure", "state", "outcome", "started", "ended")


@click.command(
    "list", epilog=example("runbook list --awaiting", "runbook list prod/ai-processor --open --json")
)
@takes_scope
@click.option("--open", "only_open", is_flag=True, help="Only runs that have not ended.")
@click.option("--awaiting", is_flag=True, help="Only runs that wait for a person's answer.")
@click.option(
    "--limit",
    metavar="N",
    type=WholeNumber(1, 10_000),
    default=50,
    show_default=True,
    help="At most N runs, the newest.",
)
@takes_caller("--catalog", "--json")
def command(caller: Caller, *, scope: Scope, only_open: bool, awaiting: bool, limit: int) -> None:
    """List open and ended runs, newest first. On a terminal, procedures are below their incident."""
    query = _query(scope, only_open=only_open, awaiting=awaiting)
    converse(lambda client: _list(client, caller, scope, query, limit))


def _query(scope: Scope, *, only_open: bool, awaiting: bool) -> str:
    conditions = [*of_scope(scope), 'ExecutionStatus != "ContinuedAsNew"']
    if only_open or awaiting:
        conditions.append(OPEN)
    if awaiting:
        conditions.append(f'{ids.STATE.name} = "awaiting-approval"')
    return " AND ".join(conditions)


async def _list(client: Client, caller: Caller, scope: Scope, query: str, limit: int) -> None:
    runs, more = await find(client, query, limit)
    if not runs:
        await check_known(client, caller.catalog, scope)
    rows = [_row(run) for run in runs]
    if caller.as_json:
        answer(rows)
    elif not rows:
        note("no runs")
    elif on_terminal():
        show_rows(SHOWN, _cells(arrange(runs)))
    else:
        for row in rows:
            say("\t".join(row[column] or "-" for column in COLUMNS))
    if more:
        note(f"there are more runs than the {limit} shown; narrow the list, or raise --limit")


def _row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "run_id": run.run_id,
        "parent": run.parent,
        "procedure": run.procedure,
        "service": run.service,
        "environment": run.environment,
        "state": run.state.value,
        "outcome": run.outcome.value if run.outcome else None,
        "started": stamp(run.started),
        "ended": stamp(run.ended),
    }


def _cells(tree: Iterable[tuple[int, Run]]) -> Iterator[tuple[list[str], str]]:
    """Return what people see of each run, with its colour: the id says where, and times are in the local zone."""
    for depth, run in tree:
        row = _row(run) | {
            "id": f"{'  ' * depth}{run.id}",
            "started": clock(run.started),
            "ended": clock(run.ended) if run.ended else None,
        }
        colour = "yellow" if row["state"] == "awaiting-approval" else ""
        yield [row[column] or "-" for column in SHOWN], colour


def arrange(runs: Iterable[Run]) -> Iterator[tuple[int, Run]]:
    """Order runs so that each follows what it belongs to, with its depth; otherwise they stay in their order."""
    listed = list(runs)
    below: dict[str | None, list[Run]] = {}
    for run in listed:
        above = next((item for item in listed if item is not run and _belongs(run, item)), None)
        below.setdefault(above.run_id if above else None, []).append(run)
    yield from _walk(below, None, 0)


def _walk(below: dict[str | None, list[Run]], above: str | None, depth: int) -> Iterator[tuple[int, Run]]:
    for run in below.get(above, []):
        yield depth, run
        yield from _walk(below, run.run_id, depth + 1)


def _belongs(run: Run, above: Run) -> bool:
    """Whether one run is the other's: its child, or the remediation of a target whose incident was open then."""
    target = (run.environment, run.service)
    is_incidents = run.id == ids.remediation_id(*target) and above.id == ids.incident_id(*target)
    if run.parent != above.id and not is_incidents:
        return False
    started_before_its_end = above.ended is None or run.started <= above.ended
    ended_after_its_start = run.ended is None or run.ended >= above.started
    return started_before_its_end and ended_after_its_start
