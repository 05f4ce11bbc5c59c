"""Why a service that runs by compose is ill. Pure; ambiguous evidence is ``unknown``, which a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runbook_model.readings import Quality
from workflows.decisions import database
from workflows.decisions.containers import down_dependencies
from workflows.decisions.diagnosis import Cause, Diagnosis, classify_errors
from workflows.decisions.diagnosis.signs import unread

if TYPE_CHECKING:
    from runbook_model.catalog.catalog import Target
    from runbook_model.catalog.policies import Database
    from runbook_model.containers import ProjectRead, ServerAnswer
    from runbook_model.readings import Sample
    from runbook_model.symptoms import ErrorsRead, LoadRead, LogsRead

LOOP = 2
"""So many restarts by the engine are a loop; one may be chance."""


class LocalDiagnosis(Diagnosis):
    """A cause, and which services a restart would help, in their order."""

    restart: tuple[str, ...] = ()


def classify_local_outage(
    target: Target, project: ProjectRead, logs: LogsRead, sample: Sample
) -> LocalDiagnosis:
    """Decide: dependency, crash-loop, unhealthy-targets, fine, or unknown.

    Args:
        target: whose catalog entry says which service is the database.
        project: the containers.
        logs: the error lines.
        sample: health and error rate as users see them.
    """
    doubts = unread(logs=logs)
    users = tuple(one.detail for one in sample.readings if one.decides)
    down = down_dependencies(target, project)
    cause, sign = _own_trouble(project, sample)
    ill = cause is not Cause.FINE or sample.quality is Quality.BAD
    if down and not (len(down) == 1 and ill):
        return _unknown(*down.values(), sign, *users, doubts=doubts)
    if down:
        (name, told) = next(iter(down.items()))
        return LocalDiagnosis(
            cause=Cause.DEPENDENCY,
            because=(told, sign, *users),
            doubts=doubts,
            restart=(name, project.service),
        )
    if cause in {Cause.CRASH_LOOP, Cause.UNHEALTHY_TARGETS}:
        return LocalDiagnosis(cause=cause, because=(sign, *users), doubts=doubts, restart=(project.service,))
    if cause is Cause.FINE and sample.quality is Quality.GOOD:
        return LocalDiagnosis(cause=Cause.FINE, because=(*users, sign), doubts=doubts)
    return _unknown(sign, *users, logs.told, doubts=doubts)


def classify_local_errors(
    target: Target, project: ProjectRead, errors: ErrorsRead, load: LoadRead, logs: LogsRead
) -> LocalDiagnosis:
    """Decide: dependency, load, fine, or unknown; a dependency that is down outweighs what errors are about."""
    found = LocalDiagnosis(**classify_errors(target, errors, load, logs).model_dump())
    return with_dependencies(target, project, found)


def with_dependencies(target: Target, project: ProjectRead, diagnosis: Diagnosis) -> LocalDiagnosis:
    """Put the one dependency that is down before other causes; several, or none of the symptoms, are a person's."""
    found = LocalDiagnosis(**diagnosis.model_dump(exclude={"restart"}))
    down = down_dependencies(target, project)
    if not down:
        return found
    if len(down) > 1 or diagnosis.cause is Cause.FINE:
        return _unknown(*down.values(), *diagnosis.because, doubts=diagnosis.doubts)
    name, told = next(iter(down.items()))
    return found.model_copy(
        update={
            "cause": Cause.DEPENDENCY,
            "because": (told, *diagnosis.because),
            "restart": (name, project.service),
        }
    )


def classify_server(answer: ServerAnswer, policy: Database) -> database.Diagnosis:
    """Name the cause from what the database server in a container says of itself."""
    if answer.starting:
        why = "it is starting or recovering: a restart would only begin that again"
        return database.Diagnosis(cause=database.Cause.UNKNOWN, because=(why, answer.told))
    if answer.accepts is None:
        return database.Diagnosis(cause=database.Cause.UNKNOWN, because=(answer.told,))
    if not answer.accepts:
        return database.Diagnosis(cause=database.Cause.DOWN, because=(answer.told,))
    if answer.full or (answer.share or 0) >= policy.full:
        return database.Diagnosis(cause=database.Cause.LOAD, because=(answer.told,))
    known = answer.share is not None
    cause = database.Cause.HEALTHY if known else database.Cause.UNKNOWN
    return database.Diagnosis(cause=cause, because=(answer.told,))


def _own_trouble(project: ProjectRead, sample: Sample) -> tuple[Cause, str]:
    """Say what the service's own containers suffer from; ``fine`` when they run and answer."""
    told = "; ".join(one.told for one in project.own)
    if any(one.state == "restarting" or one.ended for one in project.own):
        return Cause.CRASH_LOOP, told
    if any(one.health == "unhealthy" for one in project.own):
        return Cause.UNHEALTHY_TARGETS, told
    if not all(one.serves for one in project.own):
        return Cause.UNKNOWN, told
    health = next((one for one in sample.readings if one.kind == "health" and one.decides), None)
    if health is None or health.quality is not Quality.BAD:
        return Cause.FINE, told
    if any(one.restarts >= LOOP for one in project.own):
        return Cause.CRASH_LOOP, told
    return Cause.UNHEALTHY_TARGETS, f"it runs but does not answer: {told}"


def _unknown(*because: str, doubts: tuple[str, ...] = ()) -> LocalDiagnosis:
    return LocalDiagnosis(cause=Cause.UNKNOWN, because=because, doubts=doubts)
