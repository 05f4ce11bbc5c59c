"""``runbook start``: start a procedure on a service in an environment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from temporalio.client import Client

from activities.telemetry.telemetry import root_span
from runbook_model.authority.shown import plan_hash
from runbook_model.messages import (
    AS_CONFIGURED,
    SHIFTS,
    ProcedureRequest,
    RollbackRequest,
    StartSignature,
)
from runbook_model.names.ids import plan_id, remediation_id
from runbook_model.reports import Outcome, Problem, Report
from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.deciding import decide
from starter.client.incidents import of_incident
from starter.client.known_targets import check_known_procedure, check_target
from starter.client.run_view import RunView, start_document
from starter.client.runs import Run, describe
from starter.client.signing import sign_order
from starter.client.starting import begin, first_answer, make_room, wait_for_end, warn_without_worker
from starter.exits import CliError, Exit, bad_input
from starter.names import Pair
from starter.printing import answer, console, note, say, show
from starter.signing import SigningOptions, takes_signing
from starter.target_options import reason_option, takes_target
from starter.view.page import plan, render
from workflows.page.options import PLANNED_WITHIN


@dataclass(frozen=True)
class StartOptions:
    """How to start it."""

    plan: bool
    wait: bool
    replace: bool
    signing: SigningOptions


@click.command(
    "start",
    epilog=example(
        "runbook start rollback prod/ai-processor --reason 'errors since 1.1.0'",
        "runbook start rollback prod/ai-processor --plan",
    ),
)
@click.argument("procedure", shell_complete=completion.procedures)
@takes_target
@click.option("--to", metavar="RELEASE", help="Roll back to this release. Default: the last known good one.")
@click.option(
    "--shift",
    type=click.Choice(SHIFTS),
    default=AS_CONFIGURED,
    help="Roll back a finished blue/green, linear or canary deployment as the service is set, or fast: without "
    "bake times, which are put back after it. Needs an approval.",
)
@click.option(
    "--continue-own-hooks",
    is_flag=True,
    help="Continue the rollback's own deployment at its pause hooks. Needs an approval.",
)
@reason_option
@click.option("--plan", is_flag=True, help="Print the plan and change nothing.")
@click.option("--wait", is_flag=True, help="Wait for the end; the exit code says how it ended.")
@click.option(
    "--replace",
    is_flag=True,
    help="First abort the run on this target or its ECS service; keeps its changes.",
)
@takes_signing(elsewhere=False)
@takes_caller("--as", "--catalog", "--json")
def command(  # noqa: PLR0913 - one argument for each option of the contract
    caller: Caller,
    procedure: str,
    *,
    target: Pair,
    to: str | None,
    shift: str,
    continue_own_hooks: bool,
    reason: str | None,
    plan: bool,
    wait: bool,
    replace: bool,
    signing: SigningOptions,
) -> Exit:
    """Start a procedure on a service.

    PROCEDURE is rollback, service-down, high-error-rate, high-latency, resource-issues, database-issues or one of your
    own. E/S is ENVIRONMENT/SERVICE. One procedure runs on a target at a time; a second is refused.
    Where decisions are signed and the requester may not approve, an unsigned start needs one more approval.
    """
    check_procedure(procedure, to, caller.catalog)
    chosen = {"shift": shift, "continue_own_hooks": continue_own_hooks}
    _check_chosen(procedure, shift=shift, continue_own_hooks=continue_own_hooks)
    check_target(caller.catalog, target)
    fields = {
        "service": target.service,
        "environment": target.environment,
        "requested_by": caller.name,
        "reason": reason,
        "plan_only": plan,
        "replace": replace,
    }
    request = (
        RollbackRequest(**fields, **chosen, to=to) if procedure == "rollback" else ProcedureRequest(**fields)
    )
    options = StartOptions(plan=plan, wait=wait, replace=replace, signing=signing)
    return converse(lambda client: _start(client, caller, procedure, request, options))


def check_procedure(procedure: str, to: str | None, catalog: Path | None) -> None:
    """Check that there is such a procedure, and that it takes ``--to``.

    Raises:
        CliError: not so.
    """
    check_known_procedure(procedure, catalog)
    if to is not None and procedure != "rollback":
        raise bad_input(f"--to is for rollback only, not for {procedure}")
    if to is not None and not (0 < len(to) <= 500 and to.isprintable()):
        raise bad_input("--to needs a release: a revision, family:revision, ARN, image tag or digest")


def _check_chosen(procedure: str, *, shift: str, continue_own_hooks: bool) -> None:
    for option, chosen in (("--shift", shift != AS_CONFIGURED), ("--continue-own-hooks", continue_own_hooks)):
        if chosen and procedure != "rollback":
            raise bad_input(f"{option} is for rollback only, not for {procedure}")


async def _start(
    client: Client, caller: Caller, procedure: str, request: ProcedureRequest, options: StartOptions
) -> Exit:
    target = {"runbook.service": request.service, "runbook.environment": request.environment}
    with root_span("runbook start", target | {"runbook.procedure": procedure}) as trace_id:
        request = request.model_copy(update={"trace_id": trace_id})
        if options.plan:
            return await _plan_only(client, caller, procedure, request)
        if options.replace:
            await make_room(client, request)
        request = await of_incident(client, request)
        run = await _begin(client, procedure, request)
        await _sign(client, caller, procedure, request, options.signing, run)
    return await _report(client, caller, procedure, request, options, run)


async def _begin(
    client: Client,
    procedure: str,
    request: ProcedureRequest,
    *,
    workflow_id: str | None = None,
    at_most: timedelta | None = None,
) -> Run:
    id_ = workflow_id or remediation_id(request.environment, request.service)
    run_id = await begin(client, procedure, request, workflow_id=id_, at_most=at_most)
    run = await describe(client, id_, run_id)
    assert run is not None
    return run


async def _sign(
    client: Client,
    caller: Caller,
    procedure: str,
    request: ProcedureRequest,
    signing: SigningOptions,
    run: Run,
) -> None:
    """Sign the start over the run id that it returned, so that it counts as this person's."""
    if not signing.active:
        return
    signed = await sign_order(
        client,
        caller,
        signing,
        StartSignature(by=caller.name),
        kind="start",
        order={"requested_by": request.requested_by},
        run=run,
        procedure=procedure,
        requester=request.requested_by,
    )
    if signed and signed.statement:
        await decide(client, run, "sign_start", "sign_start", signed)


async def _report(
    client: Client,
    caller: Caller,
    procedure: str,
    request: ProcedureRequest,
    options: StartOptions,
    run: Run,
) -> Exit:
    """Say what was started, and with ``--wait`` how it ended."""
    names = {"procedure": procedure, "service": request.service, "environment": request.environment}
    started = start_document(client, run.id, run.run_id, names)
    served = await warn_without_worker(client, request.environment)
    if served and not options.wait:
        await _check_admitted(client, run, caller.catalog)
    write = note if caller.as_json else say
    if not (caller.as_json and not options.wait):
        short = f"{request.environment}/{request.service}"
        write(f"started {run.id} (run {run.run_id})")
        write(f"  follow:  runbook watch {short}")
        write(f"  approve: runbook approve {short} --as SOMEBODY")
        write(f"  abort:   runbook abort {short} --reason WHY")
        write(f"  UI:      {started['ui']}")
    if not options.wait:
        if caller.as_json:
            answer(started)
        return Exit.DONE
    try:
        view = await wait_for_end(client, run, caller.catalog)
    except asyncio.CancelledError:  # Ctrl-C
        note(f"no longer waiting; the run continues: runbook watch {request.environment}/{request.service}")
        raise
    if caller.as_json:
        answer(view.document(client))
    else:
        show(render(view))
    _check_not_refused(view)
    return view.exit_code


async def _check_admitted(client: Client, run: Run, catalog: Path | None) -> None:
    """Wait briefly for what the run itself finds out: that another run holds its ECS service, or the catalog lacks its target.

    Raises:
        CliError: it was refused.
    """
    view = await first_answer(client, run, catalog)
    if view:
        _check_not_refused(view)


async def _plan_only(client: Client, caller: Caller, procedure: str, request: ProcedureRequest) -> Exit:
    """Start a run that only plans, wait for it and print the plan.

    Raises:
        CliError: it was refused or failed, or no worker took it.
    """
    workflow_id = plan_id(request.environment, request.service, procedure, uuid4().hex[:8])
    run = await _begin(client, procedure, request, workflow_id=workflow_id, at_most=PLANNED_WITHIN)
    await warn_without_worker(client, request.environment)
    view = await wait_for_end(client, run)
    _check_planned(view)
    if caller.as_json:
        answer(_plan_document(view.report))
    else:
        _print_plan(view.report)
    return view.exit_code


def _plan_document(report: Report) -> dict[str, Any]:
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


def _check_not_refused(view: RunView) -> None:
    """Say of a run that was refused what is wrong with what was asked, or who does not allow it."""
    if view.report.outcome is Outcome.REFUSED:
        problem = view.report.error or Problem(kind="policy", message=view.report.summary)
        raise CliError(view.exit_code, problem.message, problem.fix)


def _check_planned(view: RunView) -> None:
    report = view.report
    _check_not_refused(view)
    if view.exit_code is Exit.DONE:
        return
    problem = report.error or Problem(kind="error", message=report.summary)
    if problem.kind == "timed-out":
        why = f"no plan within {PLANNED_WITHIN.seconds // 60} minutes"
        problem = Problem(kind=problem.kind, message=why, fix=f"is a worker serving {report.environment}?")
    message = f"no plan: {problem.message.rstrip('.')} ({view.run.id})"
    raise CliError(view.exit_code, message, problem.fix)


def _print_plan(report: Report) -> None:
    if report.plan is None:
        say(report.summary)
        return
    console().print(*plan(report.plan, report.plan_hash or plan_hash(report.plan)), sep="\n")
    say("nothing was changed")
