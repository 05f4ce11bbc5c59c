"""Runs every read of a procedure and prints its plan; nothing is changed and no lock is taken."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from temporalio.client import Client

from runbook_model.authority.shown import plan_hash
from runbook_model.messages import ProcedureRequest
from runbook_model.names.ids import plan_id
from runbook_model.reports import Outcome, Problem, Report
from starter.caller import Caller
from starter.client.run_view import RunView
from starter.client.runs import describe
from starter.client.starting import begin, wait_for_end, warn_without_worker
from starter.exits import CliError, Exit
from starter.printing import answer, console, say
from starter.view.page import plan
from workflows.page.options import PLANNED_WITHIN


async def plan_only(client: Client, caller: Caller, procedure: str, request: ProcedureRequest) -> Exit:
    """Start a run that only plans, wait for it and print the plan.

    Raises:
        CliError: it was refused or failed, or no worker took it.
    """
    workflow_id = plan_id(request.environment, request.service, procedure, uuid4().hex[:8])
    run_id = await begin(client, procedure, request, workflow_id=workflow_id, at_most=PLANNED_WITHIN)
    await warn_without_worker(client, request.environment)
    run = await describe(client, workflow_id, run_id)
    assert run is not None
    view = await wait_for_end(client, run)
    _check(view)
    if caller.as_json:
        answer(document(view.report))
    else:
        _print(view.report)
    return view.exit_code


def document(report: Report) -> dict[str, Any]:
    """Return the JSON of ``start --plan``."""
    planned = report.plan
    if planned is None:
        return {"plan": None, "plan_hash": None, "release": None, "calls": [], "summary": report.summary}
    return {
        "plan": planned.model_dump(mode="json"),
        "plan_hash": report.plan_hash,
        "release": {"from": planned.before.revision, "to": planned.after.revision}
        if planned.before and planned.after
        else None,
        "calls": [call.model_dump(mode="json") for call in planned.calls],
        "summary": report.summary,
    }


def refusal(view: RunView) -> CliError:
    """Make the error of a run that was refused: what is wrong with what was asked, or who does not allow it."""
    problem = view.report.error or Problem(kind="policy", message=view.report.summary)
    return CliError(view.exit_code, problem.message, problem.fix)


def _check(view: RunView) -> None:
    report = view.report
    if report.outcome is Outcome.REFUSED:
        raise refusal(view)
    if view.exit_code is Exit.DONE:
        return
    problem = report.error or Problem(kind="error", message=report.summary)
    if problem.kind == "timed-out":
        why = f"no plan within {PLANNED_WITHIN.seconds // 60} minutes"
        problem = Problem(kind=problem.kind, message=why, fix=f"is a worker serving {report.environment}?")
    message = f"no plan: {problem.message.rstrip('.')} ({view.run.id})"
    raise CliError(view.exit_code, message, problem.fix)


def _print(report: Report) -> None:
    if report.plan is None:
        say(report.summary)
        return
    console().print(*plan(report.plan, report.plan_hash or plan_hash(report.plan)), sep="\n")
    say("nothing was changed")
