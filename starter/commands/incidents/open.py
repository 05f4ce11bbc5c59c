"""``runbook open``: an incident that a person found."""

from __future__ import annotations

import click
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.telemetry.telemetry import root_span
from runbook_model.incident.account import IncidentRequest
from runbook_model.names.ids import incident_id
from starter import completion
from starter.caller import Caller, example, takes_caller
from starter.client.connect import converse
from starter.client.incidents import open_incident
from starter.client.known_targets import check_target
from starter.client.run_view import start_document
from starter.client.starting import warn_without_worker
from starter.commands.remediation.start import check_procedure
from starter.exits import refused
from starter.names import Pair, Words
from starter.printing import answer, note, say
from starter.target_options import takes_target


@click.command(
    "open",
    epilog=example(
        "runbook open prod/ai-processor --impact 'uploads fail'",
        "runbook open prod/ai-processor --procedure service-down",
    ),
)
@takes_target
@click.option("--impact", metavar="T", type=Words(), help="What users notice.")
@click.option(
    "--procedure",
    metavar="P",
    help="Start this procedure. Without it none starts until an alert or a person starts one.",
    shell_complete=completion.procedures,
)
@takes_caller("--as", "--catalog", "--json")
def command(caller: Caller, *, target: Pair, impact: str | None, procedure: str | None) -> None:
    """Open an incident that a person found. People are notified and paged until somebody acknowledges it.

    E/S is ENVIRONMENT/SERVICE. Alerts of the same target join the incident. One incident is open for a target at a
    time; a second is refused.
    """
    check_target(caller.catalog, target)
    if procedure is not None:
        check_procedure(procedure, None, caller.catalog)
    request = IncidentRequest(
        service=target.service,
        environment=target.environment,
        opened_by=caller.name,
        impact=impact,
        procedure=procedure,
    )
    converse(lambda client: _open(client, caller, request))


async def _open(client: Client, caller: Caller, request: IncidentRequest) -> None:
    short = f"{request.environment}/{request.service}"
    workflow_id = incident_id(request.environment, request.service)
    with root_span("runbook open", {"runbook.service": request.service}) as trace_id:
        try:
            run_id = await open_incident(client, request.model_copy(update={"trace_id": trace_id}))
        except WorkflowAlreadyStartedError:
            raise refused(
                f"{workflow_id} is open already",
                f"see it with `runbook show {short}`, add what you know with `runbook note {short}`",
            ) from None
    names = {"procedure": "incident", "service": request.service, "environment": request.environment}
    document = start_document(client, workflow_id, run_id, names)
    await warn_without_worker(client, request.environment)
    if caller.as_json:
        answer(document)
        return
    say(f"opened {workflow_id} (run {run_id})")
    note(f"  follow:      runbook watch {short}")
    note(f"  acknowledge: runbook ack {short}")
    note(f"  at the end:  runbook close {short} --root-cause WHY")
