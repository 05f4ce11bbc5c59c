"""Which run an ``ID`` means, for each verb."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from runbook_model.names.ids import incident_id, is_lock, remediation_id
from runbook_model.reports import State
from runbook_model.text.sentences import did_you_mean
from starter.client.known_targets import recorded_runs
from starter.client.runs import Run, describe
from starter.exits import CliError, bad_input, refused
from starter.names import Pair, parse_id
from starter.printing import clock

SEE = "`runbook list` shows all runs"


async def page_of(client: Client, text: str, run_id: str | None) -> Run:
    """Find the run to show: for ``E/S`` the open incident, else the remediation, else the last incident.

    Raises:
        CliError: there is none.
    """
    named = parse_id(text)
    if isinstance(named, str):
        return await _exactly(client, named, run_id)
    incident, remediation = await asyncio.gather(
        describe(client, incident_id(named.environment, named.service), run_id),
        describe(client, remediation_id(named.environment, named.service), run_id),
    )
    if incident and (incident.is_open or remediation is None):
        return incident
    if remediation is None:
        raise await _nothing(client, named, run_id)
    return remediation


async def incident_of(client: Client, text: str, run_id: str | None) -> Run:
    """Find the incident: for ``E/S`` the one that is open, or was last.

    Raises:
        CliError: there is none.
    """
    named = parse_id(text)
    if isinstance(named, str):
        return await _exactly(client, named, run_id)
    found = await describe(client, incident_id(named.environment, named.service), run_id)
    if found is None:
        raise bad_input(f"there has been no incident on {named}", "`runbook open` opens one")
    return found


async def remediation_of(client: Client, text: str, run_id: str | None) -> Run:
    """Find the run to abort, pause or resume: for ``E/S`` the remediation.

    Raises:
        CliError: there is none.
    """
    named = parse_id(text)
    if isinstance(named, str):
        return await _exactly(client, named, run_id)
    found = await describe(client, remediation_id(named.environment, named.service), run_id)
    if found is None:
        raise await _nothing(client, named, run_id)
    return found


async def waiting_at(client: Client, text: str, run_id: str | None) -> Run:
    """Find the run to approve: for ``E/S`` the one that waits, children included.

    A run that waits because its child does only passes answers on; the child says whether it takes them.

    Raises:
        CliError: there is none.
    """
    named = parse_id(text)
    if isinstance(named, str):
        return await _asking(client, await _exactly(client, named, run_id))
    roots = [
        await describe(client, which(named.environment, named.service), run_id)
        for which in (remediation_id, incident_id)
    ]
    found = [root for root in roots if root]
    for root in found:
        asking = await _asking(client, root)
        if _waits(asking):
            return asking
    open_run = next((run for run in found if run.is_open), None)
    if open_run:  # it may have come to its checkpoint this very moment: the run itself knows best
        return open_run
    if found:
        raise refused(f"nothing waits for an answer on {named}: {ending(found[0])}")
    raise await _nothing(client, named, run_id)


def ending(run: Run) -> str:
    """Say that a run is over."""
    when = f" at {clock(run.ended)}" if run.ended else ""
    return f"{run.id} ended{when} ({run.outcome or 'without an outcome'})"


async def _asking(client: Client, run: Run) -> Run:
    """Find who asks what a run waits for: the run itself, or a child of its."""
    for child in await _children(client, run):
        asking = await _asking(client, child)
        if _waits(asking):
            return asking
    return run


def _waits(run: Run) -> bool:
    return run.is_open and run.state is State.AWAITING_APPROVAL


async def _children(client: Client, run: Run) -> list[Run]:
    children = [await describe(client, child) for child in run.waiting_children if not is_lock(child)]
    return [child for child in children if child]


async def _exactly(client: Client, workflow_id: str, run_id: str | None) -> Run:
    found = await describe(client, workflow_id, run_id)
    if found is None:
        which = f" with run {run_id}" if run_id else ""
        known = {run.id for run in await recorded_runs(client)} - {workflow_id}
        raise bad_input(f"there is no run {workflow_id}{which}{did_you_mean(workflow_id, known)}", SEE)
    return found


async def _nothing(client: Client, named: Pair, run_id: str | None) -> CliError:
    which = f" with run {run_id}" if run_id else ""
    known = {f"{run.environment}/{run.service}" for run in await recorded_runs(client)} - {str(named)}
    return bad_input(f"nothing has run on {named}{which} yet{did_you_mean(str(named), known)}", SEE)
