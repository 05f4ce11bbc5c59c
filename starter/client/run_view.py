"""What can be seen of a run now: its page, from a live worker or pieced together without one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.reports import Outcome, Report, State
from starter.client.connect import RPC_TIMEOUT, ui_address
from starter.client.offline import offline_report
from starter.client.runs import Run
from starter.exits import Exit
from workflows.incidents.report import IncidentReport

ANSWER_TIMEOUT = timedelta(seconds=2)
"""How long a worker has to answer a query; an idle one needs 10 ms."""
SHOWN_ELSEWHERE = {
    "brake": "runbook brake",
    "ledger": "runbook release list",
    "doctor": "runbook doctor",
    "drill": "runbook drill",
}
AFTER_THE_END = timedelta(seconds=1)
EXIT_OF_OUTCOME = {
    Outcome.RECOVERED: Exit.DONE,
    Outcome.NOT_NEEDED: Exit.DONE,
    Outcome.PLANNED: Exit.DONE,
    Outcome.ABORTED: Exit.STOPPED,
    Outcome.NOT_APPROVED: Exit.STOPPED,
}


@dataclass(frozen=True)
class RunView:
    """A run and its page."""

    run: Run
    report: Report
    live: bool
    """Whether a worker answered just now."""

    @property
    def exit_code(self) -> Exit:
        """What the ending means to a script."""
        outcome, error = self.report.outcome, self.report.error
        if outcome is None:
            return Exit.NOT_DONE
        if outcome is Outcome.REFUSED:
            return Exit.BAD_INPUT if error and error.kind == "input" else Exit.REFUSED
        return EXIT_OF_OUTCOME.get(outcome, Exit.NOT_DONE)

    def document(self, client: Client) -> dict[str, Any]:
        """Return the page as the JSON of ``show``."""
        page = self.report.model_dump(mode="json")
        names = start_document(client, self.run.id, self.run.run_id, page)
        state = {"live": self.live, "parent": self.run.parent}
        times = {"started": stamp(self.run.started), "ended": stamp(self.run.ended)}
        return names | page | state | times


def start_document(client: Client, workflow_id: str, run_id: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON that says which run was started."""
    target = {key: names[key] for key in ("procedure", "service", "environment")}
    return {"id": workflow_id, "run_id": run_id, **target, "ui": ui_address(client, workflow_id, run_id)}


def stamp(moment: datetime | None) -> str | None:
    """Write a moment as the JSON has it."""
    return moment.isoformat().replace("+00:00", "Z") if moment else None


async def look(client: Client, run: Run, catalog: Path | None = None) -> RunView:
    """See a run: ask a worker, and do without one, by the local catalog, when none answers."""
    if run.is_open:
        live, report = await _ask(client, run, ANSWER_TIMEOUT)
        return RunView(run, report or await _pieced_together(client, run, catalog, live=live), live=live)
    (live, last_page), result = await asyncio.gather(_ask(client, run, AFTER_THE_END), _result(client, run))
    return RunView(run, result or await _without_result(client, run, last_page, catalog), live=live)


async def _pieced_together(client: Client, run: Run, catalog: Path | None, *, live: bool) -> Report:
    known = await offline_report(client, run, catalog)
    elsewhere = SHOWN_ELSEWHERE.get(run.procedure)
    if not live:
        return known
    where = f": `{elsewhere}` shows it" if elsewhere else ""
    return known.model_copy(update={"summary": f"It has no page{where}."})


async def _ask(client: Client, run: Run, patience: timedelta) -> tuple[bool, Report | None]:
    """Ask a run for its page; returns whether a worker answered, and the page if that was one."""
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    try:
        answer = await handle.query("status", result_type=_kind(run), rpc_timeout=patience)
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError, ValidationError, RuntimeError):
        return True, None  # what answered is not a page of ours, or cannot be read
    except ValueError:
        return False, None  # the SDK's word for a run that was paused by the server: no worker was asked
    except RPCError as error:
        if error.status is RPCStatusCode.UNAVAILABLE:
            raise
        return False, None
    return True, answer if isinstance(answer, Report) else None


async def _result(client: Client, run: Run) -> Report | None:
    handle = client.get_workflow_handle(run.id, run_id=run.run_id, result_type=_kind(run))
    try:
        result = await handle.result(follow_runs=False, rpc_timeout=RPC_TIMEOUT)
    except (WorkflowFailureError, WorkflowContinuedAsNewError, ValueError, RuntimeError):
        return None
    return result if isinstance(result, Report) else None


def _kind(run: Run) -> type[Report]:
    return IncidentReport if run.procedure == "incident" else Report


async def _without_result(client: Client, run: Run, last_page: Report | None, catalog: Path | None) -> Report:
    """Describe a run that ended without saying how: what the server knows goes before what the page last said."""
    known = await offline_report(client, run, catalog)
    if last_page is None:
        return known
    ending = {"state": State.DONE, "outcome": known.outcome, "error": known.error, "summary": known.summary}
    return last_page.model_copy(update=ending | {"steps": known.steps or last_page.steps, "checkpoint": None})
