"""How a compose service is restarted, and what counts as what it runs. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from runbook_model.containers import Container, ContainerFence
from runbook_model.release import Image, Release
from runbook_model.reports import Message, Plan, PlannedCall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runbook_model.catalog.catalog import Target
    from runbook_model.containers import ProjectRead

NOT_OFFERED = "Scaling out is not offered for compose: a restart, or more CPU and memory in the compose file, is a person's choice."


class ServiceRestart(Message):
    """One service and its containers as they were when the plan was made."""

    service: str
    fences: tuple[ContainerFence, ...]
    told: str
    """How they were, in words."""


class RestartContainersPlan(Plan):
    """Which services are restarted, in this order; after the first, only those that do not run by then."""

    restarts: tuple[ServiceRestart, ...]


def release_of(project: ProjectRead) -> Release:
    """Return what the service runs, as far as compose tells releases apart: by the image."""
    images = {(one.image, one.digest): one for one in project.own}
    return Release(
        task_definition=f"{project.project}/{project.service}",
        images=tuple(
            Image(container=one.name, name=one.image, digest=one.digest or None) for one in images.values()
        ),
    )


def down_dependencies(target: Target, project: ProjectRead) -> dict[str, str]:
    """Say of each dependency that is down how it is.

    What ended with 0 has done its work, as a migration does; only a database is always meant to run.
    """
    database = target.database.compose_service if target.database else None
    found = {
        name: [
            one
            for one in project.of(name)
            if not one.serves
            and one.health != "starting"
            and (name == database or not (one.ended and one.exit_code == 0))
        ]
        for name in project.dependencies
    }
    return {name: "; ".join(one.told for one in sick) for name, sick in found.items() if sick}


def plan_restart_of(
    target: Target, project: ProjectRead, services: Sequence[str], because: tuple[str, ...]
) -> RestartContainersPlan | None:
    """Plan to restart services, what others depend on first; None when one of them has no container any more."""
    restarts = tuple(_restart(name, project.of(name)) for name in services)
    if not all(one.fences for one in restarts):
        return None
    first, *others = services
    then = f", then {', '.join(others)} if that does not run by then" if others else ""
    stopped = [one.told for name in services for one in project.of(name) if one.was_stopped]
    return RestartContainersPlan(
        headline=f"Restart {first} of compose project {project.project} in {target.environment}{then}",
        calls=tuple(_call(project.project, name, project.of(name)) for name in services),
        because=because,
        not_restored=(
            "What made it fail stays as it is; it may fail again.",
            "Requests and transactions under way are cut off.",
        ),
        needs_yes=f"Somebody seems to have stopped it ({'; '.join(stopped)})." if stopped else None,
        essence=_hash([one for name in services for one in project.of(name)]),
        restarts=restarts,
    )


def _restart(service: str, containers: Sequence[Container]) -> ServiceRestart:
    return ServiceRestart(
        service=service,
        fences=tuple(one.fence for one in containers),
        told="; ".join(one.told for one in containers),
    )


def _call(project: str, service: str, containers: Sequence[Container]) -> PlannedCall:
    names = [one.name for one in containers]
    parameters = {"project": project, "service": service, "containers": names}
    return PlannedCall(service="docker", action="ContainerRestart", parameters=parameters)


def _hash(containers: Sequence[Container]) -> str:
    """Name the state that the yes is for; what the engine starts again and again by itself is one state."""
    lines = [f"{one.id} {'again' if one.restarts else one.started}" for one in containers]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
