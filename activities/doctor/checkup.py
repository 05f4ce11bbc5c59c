"""Looks at the outside for ``runbook doctor`` and drills: the function of each row of the table that a worker sees.

What follows from facts (``controller``, ``last-known-good``, the worker's catalog) the workflow says.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from temporalio import activity

from activities.doctor import dependencies, place, service
from activities.doctor.looking import NotSetError, Questions, WrongError, look
from activities.doctor.permissions import look_at_shelf, simulate_changes
from activities.doctor.place import Means, PlaceLook, try_channels
from activities.doctor.queries import ask_queries
from activities.doctor.service import ServiceLook
from activities.doctor.shifting import read_traffic_shift
from activities.doctor.signers import look_at_signers, look_at_standing
from runbook_model.catalog.catalog import load_catalog
from runbook_model.catalog.target import Target
from runbook_model.checks import Check, Place, TargetChecks
from runbook_model.names.procedures import KnownProcedures


def look_at_procedures(catalog: Path, known: KnownProcedures) -> str:
    """Look at the packages that bring procedures, and whether the worker has each that its catalog names.

    Raises:
        NotSetError: no package brings any.
        WrongError: one is missing, or cannot be used.
    """
    found = load_catalog(catalog)
    for name in (*known.broken, *found.procedures, *(row.procedure for row in found.alerts)):
        if name not in known:
            raise WrongError(*known.why_not(name))
    if not known.own:
        raise NotSetError("only the built-in ones: no installed package adds a procedure")
    return "; ".join(f"{name} by {source}" for name, source in sorted(known.own.items()))


async def _try_channels(look: PlaceLook) -> str:
    return await try_channels(look.means.channels, look.place.channels)


PLACE: Final[Questions[PlaceLook]] = {
    "aws-identity": place.identify,
    "cluster": place.read_cluster,
    "prometheus": place.ask_prometheus,
    "docker-engine": place.ask_engine,
    "clock": place.read_clock,
    "chat": _try_channels,
    "reviews": lambda look: look_at_shelf(look.clients, look.place, look.means.reviews),
    "signers": lambda look: look_at_signers(look.place, look.means.signers),
    "standing": lambda look: look_at_standing(
        look.place, look.means.signers, look.means.standing, look.namespace
    ),
    "procedures": lambda look: look.means.procedures(),
}
SERVICE: Final[Questions[ServiceLook]] = {
    "service": service.read_service,
    "deployments": service.read_history,
    "tasks": service.read_tasks,
    "task-definitions": service.list_task_definitions,
    "autoscaling": service.read_capacity,
    "log-group": service.read_logs,
    "cloudwatch": service.read_cloudwatch,
    "load-balancer": service.read_balancers,
    "traffic-shift": read_traffic_shift,
    "permissions": lambda look: simulate_changes(look.clients, look.target),
    "health": dependencies.read_health,
    "metrics": dependencies.read_metrics,
    "terraform": dependencies.validate_module,
    "database": dependencies.connect,
    "rds-instance": dependencies.read_instance,
}
"""Of a service; there is a check more for each of its queries."""


class Checkup(Means):
    """Asks every question at once, on threads that no procedure needs."""

    async def at_place(self, place: Place, served: datetime) -> tuple[Check, ...]:
        """Look at what the services of an environment share; ``served`` is what Temporal's clock said a moment ago."""
        return await look(PLACE, PlaceLook(self, place, served, activity.info().namespace), place)

    async def at_target(self, target: Target) -> TargetChecks:
        """Look at one service."""
        asked = ServiceLook(self.sources, target)
        checks = await look({**SERVICE, **ask_queries(target)}, asked, target)
        return TargetChecks(checks=checks, service=asked.service, history=asked.history)
