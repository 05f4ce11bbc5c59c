"""Whether *our* deployment is steady, failed or superseded. Pure: readings in, judgement out.

"The service looks stable" is not asked: that is also true of a service whose circuit breaker put the old release back,
of one with no tasks wanted, and of the old deployment in the moment after an update.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.releases.history import ServiceDeployment
from runbook_model.releases.release import ROLLING_BACK, Deployment, ServiceState
from runbook_model.releases.shifting import WaitingHook


class Awaited(Fact):
    """The deployment that is waited for."""

    target: Target
    kind: Literal["deployment", "rollback"] = "deployment"
    """``deployment``: one that we made. ``rollback``: ECS rolls the service deployment back."""
    deployment: str = ""
    """Id of the deployment that we made."""
    task_definition: str = ""
    """What it brings; for a rollback unknown until ECS says where it lands."""
    service_deployment: str | None = None
    replaces: str | None = None
    """ARN of the service deployment before it, where deployments shift traffic: that one is not ours."""
    until: Literal["traffic", "end"] = "traffic"
    """Where deployments shift traffic: until it has all of it, or has ended."""
    announced: tuple[str, ...] | None = None
    """Ids of pause hooks that people know of: another one ends the wait. None where no pause does."""
    deadline: datetime


class Phase(StrEnum):
    """Where a rollout is."""

    PROGRESSING = "progressing"
    STEADY = "steady"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    """It waits at a pause hook that nobody knows of yet."""
    STUCK = "stuck"
    """Neither steady nor failed in the time given."""
    UNKNOWN = "unknown"
    """The service alone does not say; its service deployment must be asked."""


class Rollout(Fact):
    """Where the awaited deployment is."""

    phase: Phase
    detail: str
    """In words: ``1 of 2 tasks run, 1 starts``."""
    service: ServiceState
    service_deployment: str | None = None
    at: datetime
    takes: timedelta = timedelta(0)
    """How much longer than the deadline it may take by its own configuration."""
    stage: str | None = None
    """The lifecycle stage that it is at, where it shifts traffic."""
    paused: tuple[WaitingHook, ...] = ()
    """Where it is paused: the hooks that nobody knows of yet."""
    announced: tuple[str, ...] = ()
    """Ids of the pause hooks that people know of."""

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        return self.detail


def judge_rollout(awaited: Awaited, service: ServiceState, own: ServiceDeployment | None = None) -> Rollout:
    """Judge one reading of the service, with the service deployment where it was asked."""
    phase, detail = refuted(service) or (
        _judge_rollback(service, own)
        if awaited.kind == "rollback"
        else _judge_deployment(awaited, service, own)
    )
    return Rollout(
        phase=phase,
        detail=detail,
        service=service,
        service_deployment=own.arn if own else awaited.service_deployment,
        at=service.read_at,
    )


def refuted(service: ServiceState) -> tuple[Phase, str] | None:
    """Say why no deployment of a service can become steady; None where it may."""
    if service.status != "ACTIVE":
        return Phase.FAILED, f"the service is {service.status}"
    if service.desired == 0:
        return Phase.FAILED, "the service's desired count is 0: nothing runs"
    return None


def _judge_deployment(
    awaited: Awaited, service: ServiceState, own: ServiceDeployment | None
) -> tuple[Phase, str]:
    ours = next(
        (deployment for deployment in service.deployments if deployment.id == awaited.deployment), None
    )
    if ours and ours.rollout_state == "FAILED":
        if own and own.rollback:
            return _judge_replaced(service, own)
        if own is None and awaited.service_deployment and ours.status != "PRIMARY":
            return Phase.UNKNOWN, "the deployment failed, and ECS has put another in its place"
        return Phase.FAILED, f"the deployment failed: {ours.rollout_reason or 'ECS gives no reason'}"
    if ours and ours.status == "PRIMARY" and ours.task_definition == awaited.task_definition:
        return _judge_ours(awaited, ours, service, own)
    if own is None:
        return Phase.UNKNOWN, "another deployment is PRIMARY"
    return _judge_replaced(service, own)


def _judge_ours(
    awaited: Awaited, ours: Deployment, service: ServiceState, own: ServiceDeployment | None
) -> tuple[Phase, str]:
    """Our deployment is PRIMARY; behind a Classic load balancer only its service deployment says that it is done."""
    phase, counts = _judge_counts(ours, service)
    if ours.rollout_state is not None or phase is not Phase.STEADY or awaited.service_deployment is None:
        return phase, counts
    if own is None:
        return Phase.UNKNOWN, f"{counts}; ECS does not say yet whether the deployment is done"
    done = own.status == "SUCCESSFUL"
    return (
        (phase, counts) if done else (Phase.PROGRESSING, f"{counts}; the service deployment is {own.status}")
    )


def _judge_replaced(service: ServiceState, own: ServiceDeployment) -> tuple[Phase, str]:
    """Our deployment is no longer PRIMARY: either ECS took it back, or somebody deployed over it."""
    why = reason_of(own)
    if own.status in ROLLING_BACK | {"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}:
        return Phase.FAILED, f"ECS rolled the deployment back by itself: {why}"
    if service.service_deployment not in {None, own.arn}:
        primary = service.primary
        newer = primary.task_definition.rpartition("/")[2] if primary else "another release"
        return Phase.SUPERSEDED, f"a newer deployment brings {newer}; this run does not touch it"
    if own.status == "STOPPED":
        return Phase.FAILED, f"the deployment was stopped: {why}"
    return Phase.UNKNOWN, "another deployment is PRIMARY, and ECS does not say why yet"


def reason_of(own: ServiceDeployment) -> str:
    """Say why ECS took a deployment back or stopped it."""
    why = own.rollback.reason if own.rollback and own.rollback.reason else own.reason or "ECS gives no reason"
    return f"{why} (alarms: {', '.join(own.alarms)})" if own.alarms else why


def _judge_rollback(service: ServiceState, own: ServiceDeployment | None) -> tuple[Phase, str]:
    if own is None:
        return Phase.UNKNOWN, "the service deployment was not read yet"
    if service.service_deployment not in {None, own.arn}:
        return Phase.SUPERSEDED, "a newer deployment started; this run does not touch it"
    if own.status in {"ROLLBACK_FAILED", "STOPPED", "SUCCESSFUL"}:
        return Phase.FAILED, f"ECS did not roll back: the service deployment is {own.status}"
    if own.status != "ROLLBACK_SUCCESSFUL":
        return Phase.PROGRESSING, f"ECS rolls back: {own.status}"
    landed = own.rollback.revision if own.rollback else None
    if landed and service.service_revisions and landed not in service.service_revisions:
        return Phase.PROGRESSING, "rolled back; the old release does not run yet"
    primary = service.primary
    return (
        _judge_counts(primary, service)
        if primary
        else (Phase.PROGRESSING, "there is no PRIMARY deployment yet")
    )


def _judge_counts(primary: Deployment, service: ServiceState) -> tuple[Phase, str]:
    others = sum(d.running + d.pending for d in service.deployments if d.id != primary.id)
    counts = f"{primary.running} of {primary.desired} tasks run"
    if primary.pending:
        counts += f", {primary.pending} start"
    if primary.failed_tasks:
        counts += f", {primary.failed_tasks} failed"
    if others:
        counts += f"; {others} of the old release remain"
    steady = (
        primary.rollout_state in {None, "COMPLETED"}
        and primary.running == primary.desired == service.desired
        and primary.pending == 0
        and others == 0
    )
    return (Phase.STEADY if steady else Phase.PROGRESSING), counts
