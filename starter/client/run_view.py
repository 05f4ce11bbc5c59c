"""What can be seen of a run now: its page, from a live worker, or pieced together from its memo, search attributes and history."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.catalog.target import trace_link
from runbook_model.messages import ProcedureRequest
from runbook_model.reports import Change, Checkpoint, Outcome, Problem, Report, State, Step, Task
from runbook_model.steps import place_of
from runbook_model.text.sentences import quote, sentence
from starter.client.connect import RPC_TIMEOUT, ui_address
from starter.client.known_targets import known_links
from starter.client.runs import Run
from starter.exits import Exit
from workflows.decisions.endings import fix_of
from workflows.incidents.report import IncidentReport

ENDINGS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: ("activity_task_completed_event_attributes", "done"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: ("activity_task_failed_event_attributes", "failed"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: ("activity_task_timed_out_event_attributes", "failed"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: ("activity_task_canceled_event_attributes", "cancelled"),
}
"""Of each event that ends a step: where it says which one, and how the step ended."""


async def offline_report(client: Client, run: Run, catalog: Path | None) -> Report:
    """Say of a run what the server alone knows.

    Args:
        client: of the server.
        run: the run.
        catalog: the local one: what a worker would say of its own catalog, this one has to.
    """
    events = await _history(client, run)
    request = await run.memo_value(client, "request", ProcedureRequest)
    checkpoint = await run.memo_value(client, "checkpoint", Checkpoint) if run.is_open else None
    changes = await run.memo_value(client, "changes", tuple[Change, ...]) or ()
    tasks = await run.memo_value(client, "tasks", tuple[Task, ...]) or ()
    steps = await _steps(client, events, is_open=run.is_open)
    trace_id = request.trace_id if request else None
    return Report(
        procedure=run.procedure,
        service=run.service,
        environment=run.environment,
        requested_by=request.requested_by if request else "unknown",
        reason=request.reason if request else None,
        state=run.state,
        outcome=run.outcome,
        summary=_summary(run, checkpoint, steps, await run.memo_value(client, "summary", str)),
        heading=steps[-1].heading if steps else "",
        checkpoint=checkpoint,
        plan=checkpoint.plan if checkpoint else None,
        plan_hash=checkpoint.plan_hash if checkpoint else None,
        steps=steps,
        changes=changes,
        tasks=tasks,
        error=await _problem(client, run, events[-1] if events else None),
        trace_id=trace_id,
        trace=trace_link(known_links(catalog), trace_id),
    )


async def _history(client: Client, run: Run) -> list[HistoryEvent]:
    handle = client.get_workflow_handle(run.id, run_id=run.run_id)
    return [event async for event in handle.fetch_history_events(rpc_timeout=RPC_TIMEOUT)]


async def _steps(client: Client, events: list[HistoryEvent], *, is_open: bool) -> tuple[Step, ...]:
    """Read the steps: activities carry their heading in a header and their words as a summary."""
    steps: dict[int, Step] = {}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            steps[event.event_id] = await _scheduled(client, event)
        elif event.event_type in ENDINGS:
            attributes, state = ENDINGS[event.event_type]
            scheduled = getattr(event, attributes).scheduled_event_id
            ending = {"state": state, "ended": _time(event)}
            steps[scheduled] = steps[scheduled].model_copy(update=ending)
    if is_open or not events:
        return tuple(steps.values())
    cut = {"state": "cancelled", "ended": _time(events[-1])}
    return tuple(step.model_copy(update=cut) if step.state == "running" else step for step in steps.values())


async def _scheduled(client: Client, event: HistoryEvent) -> Step:
    attributes = event.activity_task_scheduled_event_attributes
    place = place_of(attributes.header.fields)
    words = attributes.activity_type.name
    if event.HasField("user_metadata") and event.user_metadata.HasField("summary"):
        words = (await client.data_converter.decode([event.user_metadata.summary], [str]))[0]
    return Step(heading=place.heading if place else "", step=words, state="running", started=_time(event))


def _summary(run: Run, checkpoint: Checkpoint | None, steps: tuple[Step, ...], said: str | None) -> str:
    if not run.is_open:
        ended = WorkflowExecutionStatus(run.status).name.lower().replace("_", " ")
        return f"It has ended: {run.outcome or ended}."
    if run.state is State.PAUSED and run.recorded_state != State.PAUSED:
        return "Somebody paused it in the Temporal UI; unpause it there."
    if checkpoint:
        return (
            f"No worker is responding. It waits for an answer, which can be given now: {checkpoint.question}"
        )
    if said:
        return f"No worker is responding. It last said: {said}"
    last = f" Last step: {sentence(steps[-1].step)}" if steps else ""
    return f"No worker is responding; the run continues when one is back.{last}"


async def _problem(client: Client, run: Run, last: HistoryEvent | None) -> Problem | None:
    """Say what ended a run that could not say it itself."""
    if run.is_open or last is None or run.outcome not in {Outcome.FAILED, Outcome.ABORTED}:
        return None
    match last.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            ending = last.workflow_execution_terminated_event_attributes
            by = f" by {ending.identity}" if ending.identity else ""
            return Problem(
                kind="terminated", message=f"terminated{by}: {quote(ending.reason) or 'no reason given'}"
            )
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            return Problem(kind="timed-out", message="its time ran out before it ended")
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
            return Problem(kind="cancelled", message="it was cancelled")
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            failure = last.workflow_execution_failed_event_attributes.failure
            error = await client.data_converter.decode_failure(failure)
            return Problem(
                kind=failure.application_failure_info.type or "failed",
                message=error.message if isinstance(error, FailureError) else quote(str(error)),
                fix=fix_of(error) if isinstance(error, ApplicationError) else None,
            )
        case _:
            return None


def _time(event: HistoryEvent) -> datetime:
    return event.event_time.ToDatetime(UTC)


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
    return known.model_copy(update={"summary": f"A run of this kind has no page{where}."})


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
