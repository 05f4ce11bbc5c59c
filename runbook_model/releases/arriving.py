"""Whether traffic has arrived where a deployment that shifts it brings it. Pure: readings in, judgement out.

Such a deployment is under way until its bake time is over and the old tasks have ended, which may take a day. What matters is
where production traffic goes: from then on it can be verified, and until the old tasks end there is a quick way back.
"""

from __future__ import annotations

from datetime import timedelta

from runbook_model.fact import Fact
from runbook_model.releases.history import ServiceDeployment
from runbook_model.releases.release import ROLLING_BACK, ServiceState
from runbook_model.releases.rollout import Awaited, Phase, Rollout, reason_of, refuted
from runbook_model.releases.shifting import WaitingHook

Judged = tuple[Phase, str]


class Traffic(Fact):
    """Where production traffic really goes, as far as Elastic Load Balancing says it."""

    share: float | None = None
    """Percent that the rules send to the revision that shall have all of it; None where no rule could be read."""
    healthy: int | None = None
    """Healthy targets of that revision; None where they could not be read."""
    unread: str | None = None
    """Why something could not be read."""


def judge_shift(awaited: Awaited, service: ServiceState, own: ServiceDeployment | None = None) -> Rollout:
    """Judge one reading of a service whose deployments shift traffic, with the service deployment where it was asked."""
    phase, detail = refuted(service) or _judge(awaited, service, own)
    return Rollout(
        phase=phase,
        detail=detail,
        service=service,
        service_deployment=own.arn if own else awaited.service_deployment,
        at=service.read_at,
        takes=_takes(awaited, own),
        stage=own.shift.stage if own and own.shift else None,
        paused=_unknown_pauses(awaited, own) if phase is Phase.PAUSED else (),
        announced=awaited.announced or (),
    )


def judge_traffic(seen: Rollout, service: ServiceState, traffic: Traffic) -> Rollout:
    """Judge what Elastic Load Balancing says of traffic that has arrived as far as ECS says."""
    if traffic.share is not None and traffic.share < 100:
        words = f"ECS says so, but the rules still send only {traffic.share:g} % there"
        return seen.model_copy(update={"phase": Phase.PROGRESSING, "detail": f"{seen.detail}: {words}"})
    if traffic.healthy is not None and traffic.healthy < service.desired:
        words = f"{traffic.healthy} of {service.desired} targets there are healthy"
        return seen.model_copy(update={"phase": Phase.PROGRESSING, "detail": f"{seen.detail}, but {words}"})
    weights = "by the rules' weights" if traffic.share is not None else _requested(traffic)
    return seen.model_copy(update={"detail": f"{seen.detail}, {weights}"})


def count_serving(service: ServiceState, own: ServiceDeployment | None) -> int | None:
    """Count the tasks of the revision that has fewest of those that users reach; None where only one revision runs."""
    if own is None or own.shift is None or not service.two_revisions:
        return None
    shares = (own.shift.target, *own.shift.sources)
    reached = [share.running for share in shares if share.production]
    if reached:
        return min(reached)
    return max(share.running for share in shares)  # ECS shifts no traffic of its own here


def _requested(traffic: Traffic) -> str:
    return f"by the weights that ECS requested ({traffic.unread})" if traffic.unread else "by what ECS says"


def _judge(awaited: Awaited, service: ServiceState, own: ServiceDeployment | None) -> Judged:
    if own is None:
        return Phase.UNKNOWN, "the service deployment was not read yet"
    if own.arn == awaited.replaces:
        return Phase.PROGRESSING, "ECS has not started the deployment yet"
    if service.service_deployment not in {None, own.arn}:
        return Phase.SUPERSEDED, "a newer deployment started; this run does not touch it"
    if awaited.kind == "rollback":
        return _judge_rollback(awaited, service, own)
    return _judge_deployment(awaited, own)


def _judge_deployment(awaited: Awaited, own: ServiceDeployment) -> Judged:
    if own.status == "SUCCESSFUL":
        return Phase.STEADY, "the deployment has finished: all traffic is on it"
    if own.status == "STOPPED":
        return Phase.FAILED, f"the deployment was stopped: {reason_of(own)}"
    if own.status in ROLLING_BACK | {"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}:
        return Phase.FAILED, f"the deployment was rolled back: {reason_of(own)}"
    where = own.shift.summary(own.status) if own.shift else f"the deployment is {own.status}"
    if own.status == "IN_PROGRESS" and _unknown_pauses(awaited, own):
        return Phase.PAUSED, where
    if awaited.until == "traffic" and own.status == "IN_PROGRESS" and own.shift and own.shift.arrived:
        return Phase.STEADY, "all traffic is on the new tasks"
    return Phase.PROGRESSING, where


def _judge_rollback(awaited: Awaited, service: ServiceState, own: ServiceDeployment) -> Judged:
    if own.status == "ROLLBACK_SUCCESSFUL":
        landed = own.rollback.revision if own.rollback else None
        if landed and service.service_revisions and landed not in service.service_revisions:
            return Phase.PROGRESSING, "rolled back; the old release does not run yet"
        return Phase.STEADY, "ECS has rolled back: all traffic is on the old release"
    if own.status in {"ROLLBACK_FAILED", "STOPPED", "SUCCESSFUL"}:
        return Phase.FAILED, f"ECS did not roll back: the service deployment is {own.status}"
    # A stop that was only requested may still come too late, and then the deployment succeeds.
    back = own.status == "ROLLBACK_IN_PROGRESS" and own.shift is not None and own.shift.returned
    if awaited.until == "traffic" and back:
        return Phase.STEADY, "all traffic is back on the old tasks"
    where = own.shift.summary(own.status) if own.shift else own.status
    return Phase.PROGRESSING, f"ECS rolls back: {where}"


def _unknown_pauses(awaited: Awaited, own: ServiceDeployment | None) -> tuple[WaitingHook, ...]:
    """List the pause hooks that wait and that nobody knows of yet, where somebody wants to know."""
    if awaited.announced is None or own is None or own.shift is None:
        return ()
    return tuple(hook for hook in own.shift.paused if hook.id not in awaited.announced)


def _takes(awaited: Awaited, own: ServiceDeployment | None) -> timedelta:
    if own is None or own.shift is None:
        return timedelta(0)
    settings = own.shift.settings
    if awaited.kind == "rollback":
        return settings.hooks_on_the_way_back
    return settings.longest if awaited.until == "traffic" else timedelta(0)
