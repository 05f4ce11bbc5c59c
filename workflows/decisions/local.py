"""A compose project: why its service is unhealthy, and what a restart of its containers needs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from runbook_model import calls
from runbook_model.catalog.service_policies import Database
from runbook_model.catalog.target import Target
from runbook_model.containers import LOOP, Container, ContainerFence, ProjectRead, ServerAnswer
from runbook_model.measured.readings import Quality, Sample
from runbook_model.measured.symptoms import LogsRead
from runbook_model.messages import Message
from runbook_model.plans import Plan, PlannedCall
from runbook_model.releases.release import Image, Release
from workflows.decisions import database
from workflows.decisions.diagnosis import Cause, Diagnosis
from workflows.decisions.diagnosis.cause import unknown, unread


def classify_local_outage(target: Target, project: ProjectRead, logs: LogsRead, sample: Sample) -> Diagnosis:
    """Decide: dependency, crash-loop, unhealthy-targets, fine, or unknown.

    Args:
        target: whose catalog entry says which service is the database.
        project: the containers.
        logs: the error lines.
        sample: health and error rate as users see them.
    """
    doubts = unread(logs=logs)
    users = tuple(reading.detail for reading in sample.readings if reading.decides)
    down = down_dependencies(target, project)
    cause, sign = _own_trouble(project, sample)
    ill = cause is not Cause.FINE or sample.quality is Quality.BAD
    if down and not (len(down) == 1 and ill):
        return unknown(*down.values(), sign, *users, doubts=doubts)
    if down:
        (name, text) = next(iter(down.items()))
        return Diagnosis(
            cause=Cause.DEPENDENCY,
            because=(text, sign, *users),
            doubts=doubts,
            restart=(name, project.service),
        )
    if cause in {Cause.CRASH_LOOP, Cause.UNHEALTHY_TARGETS}:
        return Diagnosis(cause=cause, because=(sign, *users), doubts=doubts, restart=(project.service,))
    if cause is Cause.FINE and sample.quality is Quality.GOOD:
        return Diagnosis(cause=Cause.FINE, because=(*users, sign), doubts=doubts)
    return unknown(sign, *users, logs.summary, doubts=doubts)


def with_dependencies(target: Target, project: ProjectRead, diagnosis: Diagnosis) -> Diagnosis:
    """Put the one dependency that is down before other causes; several, or none of the symptoms, are a person's."""
    down = down_dependencies(target, project)
    if not down:
        return diagnosis
    if len(down) > 1 or diagnosis.cause is Cause.FINE:
        return unknown(*down.values(), *diagnosis.because, doubts=diagnosis.doubts)
    name, text = next(iter(down.items()))
    return diagnosis.model_copy(
        update={
            "cause": Cause.DEPENDENCY,
            "because": (text, *diagnosis.because),
            "restart": (name, project.service),
        }
    )


def classify_server(answer: ServerAnswer, policy: Database) -> database.Diagnosis:
    """Name the cause from what the database server in a container says of itself."""
    if answer.starting:
        why = "it is starting or recovering: a restart would only start that again"
        return database.Diagnosis(cause=database.Cause.UNKNOWN, because=(why, answer.summary))
    if answer.accepts is None:
        return database.Diagnosis(cause=database.Cause.UNKNOWN, because=(answer.summary,))
    if not answer.accepts:
        return database.Diagnosis(cause=database.Cause.DOWN, because=(answer.summary,))
    if answer.full or (answer.share or 0) >= policy.full:
        return database.Diagnosis(cause=database.Cause.LOAD, because=(answer.summary,))
    known = answer.share is not None
    cause = database.Cause.HEALTHY if known else database.Cause.UNKNOWN
    return database.Diagnosis(cause=cause, because=(answer.summary,))


def _own_trouble(project: ProjectRead, sample: Sample) -> tuple[Cause, str]:
    """Say what the service's own containers suffer from; ``fine`` when they run and answer."""
    text = "; ".join(item.summary for item in project.own)
    if any(item.state == "restarting" or item.ended for item in project.own):
        return Cause.CRASH_LOOP, text
    if any(item.health == "unhealthy" for item in project.own):
        return Cause.UNHEALTHY_TARGETS, text
    if not all(item.serves for item in project.own):
        return Cause.UNKNOWN, text
    health = next(
        (reading for reading in sample.readings if reading.kind == "health" and reading.decides), None
    )
    if health is None or health.quality is not Quality.BAD:
        return Cause.FINE, text
    if any(item.restarts >= LOOP for item in project.own):
        return Cause.CRASH_LOOP, text
    return Cause.UNHEALTHY_TARGETS, f"it runs but does not answer: {text}"


NO_ROLLBACK = "Rolling back is not offered for compose, which keeps no history of releases."
NO_SCALING = "No tasks are added to a compose project: restart the service by hand, or give it more CPU or memory in the compose file."


class ServiceRestart(Message):
    """One service and its containers as they were when the plan was made."""

    service: str
    fences: tuple[ContainerFence, ...]
    names: tuple[str, ...] = ()
    summary: str
    """How they were, as text."""


class RestartContainersPlan(Plan):
    """Which services are restarted, in this order; after the first, only those that do not run by then."""

    restarts: tuple[ServiceRestart, ...]


def release_of(project: ProjectRead) -> Release:
    """Return what the service runs, as far as compose distinguishes releases: by the image."""
    images = {(item.image, item.digest): item for item in project.own}
    return Release(
        task_definition=f"{project.project}/{project.service}",
        images=tuple(
            Image(container=image.name, name=image.image, digest=image.digest or None)
            for image in images.values()
        ),
    )


def down_dependencies(target: Target, project: ProjectRead) -> dict[str, str]:
    """Say of each dependency that is down how it is.

    What ended with 0 has done its work, as a migration does; only a database is always meant to run.
    """
    database = target.database.compose_service if target.database else None
    found = {
        name: [
            item
            for item in project.of(name)
            if not item.serves
            and item.health != "starting"
            and (name == database or not (item.ended and item.exit_code == 0))
        ]
        for name in project.dependencies
    }
    return {name: "; ".join(item.summary for item in sick) for name, sick in found.items() if sick}


def plan_restart_of(
    target: Target, project: ProjectRead, services: Sequence[str], because: tuple[str, ...]
) -> RestartContainersPlan | None:
    """Plan to restart services, what others depend on first; None when one of them has no container any more."""
    restarts = tuple(_restart(name, project.of(name)) for name in services)
    if not all(restart.fences for restart in restarts):
        return None
    first, *others = services
    then = f", then {', '.join(others)} if that does not run by then" if others else ""
    stopped = [item.summary for name in services for item in project.of(name) if item.was_stopped]
    return RestartContainersPlan(
        headline=f"Restart {first} of compose project {project.project} in {target.environment}{then}",
        calls=tuple(_call(project.project, name, project.of(name)) for name in services),
        because=because,
        not_restored=(
            "The cause is not fixed; it may fail again.",
            "Requests and transactions under way are cut off.",
        ),
        needs_yes=f"Somebody seems to have stopped it ({'; '.join(stopped)})." if stopped else None,
        essence=_hash([item for name in services for item in project.of(name)]),
        restarts=restarts,
    )


def _restart(service: str, containers: Sequence[Container]) -> ServiceRestart:
    return ServiceRestart(
        service=service,
        fences=tuple(container.fence for container in containers),
        names=tuple(container.name for container in containers),
        summary="; ".join(container.summary for container in containers),
    )


def _call(project: str, service: str, containers: Sequence[Container]) -> PlannedCall:
    return calls.restart(project, service, [container.name for container in containers])


def _hash(containers: Sequence[Container]) -> str:
    """Name the state that the yes is for; what the engine starts again and again by itself is one state."""
    lines = [
        f"{container.id} {'again' if container.restarts else container.started}" for container in containers
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
