"""What people are asked, or left, to do about a database, with the sessions that were found. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.decisions.database import SHOWN, leak_report
from workflows.decisions.links import database_console, links_of
from workflows.messages import Task

if TYPE_CHECKING:
    from activities.catalog import Target
    from workflows.decisions.database import Diagnosis


def restart_database(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for a database that takes no connections."""
    instance = target.database.rds_instance if target.database else None
    command = f" (aws rds reboot-db-instance --db-instance-identifier {instance})" if instance else ""
    return _now(f"Bring the database back: restart it{command}", target, diagnosis)


def release_lock(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for a lock that a session at work holds."""
    return _now("End the session that holds the lock, or let it finish", target, diagnosis)


def fit_pool(target: Target, diagnosis: Diagnosis) -> Task:
    """Ask for more room than there is."""
    what = "Make the service's connection pool or the database's max_connections fit, and deploy that"
    return _now(what, target, diagnosis)


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
