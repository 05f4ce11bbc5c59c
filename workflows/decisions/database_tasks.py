"""What people are asked, or left, to do about a database, with the sessions that were found. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.reports import Task
from workflows.decisions.database import SHOWN, Cause, leak_report
from workflows.decisions.links import database_console, links_of

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from workflows.decisions.database import Diagnosis


def restart_database(target: Target, diagnosis: Diagnosis, instance: str = "") -> Task:
    """Ask for a database that takes no connections, and that is not rebooted: it has no instance, or one in no state for it."""
    task = _now("Bring the database back: restart it", target, diagnosis)
    return task.model_copy(update={"why": f"{instance}. {diagnosis.told}"}) if instance else task


def release_lock(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for a lock that a session at work holds."""
    return _now("End the session that holds the lock, or let it finish", target, diagnosis)


def fit_pool(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for more room than there is."""
    what = "Make the service's connection pool or the database's max_connections fit, and deploy that"
    if diagnosis.cause is Cause.POOL:
        what = "Raise the limit of clients of the pooler (PgBouncer: max_client_conn), or end clients it does not need"
    return _now(what, target, diagnosis)


def raise_max_connections(target: Target, diagnosis: Diagnosis, why: str) -> Task:
    """Ask for more connections of the database, where the service's pool cannot be raised within those that there are."""
    task = _now("Raise the database's max_connections, or take connections from others", target, diagnosis)
    return task.model_copy(update={"why": f"{why}. {diagnosis.told}"})


def mend_leak(target: Target, diagnosis: Diagnosis, running: str | None) -> Task:
    """Leave a connection leak to those who wrote the code."""
    learnt, mend = leak_report(diagnosis, running)
    sessions = tuple(f"{one.told}: {one.query}" for one in diagnosis.sessions[:SHOWN])
    return Task(what=mend, kind="long-term", why=learnt, look_at=sessions, links=links_of(target))


def _now(what: str, target: Target, diagnosis: Diagnosis) -> Task:
    return Task(
        what=what,
        kind="immediate",
        why=diagnosis.told,
        look_at=diagnosis.because,
        links=database_console(target) | links_of(target),
    )
