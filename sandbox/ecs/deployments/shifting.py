"""Runs deployments that shift traffic: gives them tasks and target groups, and shows how far they are."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from sandbox.ecs.answers.services import desired_count
from sandbox.ecs.deployments import rollout
from sandbox.ecs.limits import Pace
from sandbox.ecs.model import Deployment, Service, ServiceDeployment, Traffic
from sandbox.ecs.names import Fields
from sandbox.ecs.strategies.plan import SHIFTING
from sandbox.ecs.strategies.shift import Clock, Seen, Shift

_HOOK_KEY_BYTES = 32


def target_groups(config: Fields) -> list[str]:
    """Return the ARNs of a service's first target group, and of its alternate one where it has one."""
    for balancer in config.get("loadBalancers", []):
        alternate = balancer.get("advancedConfiguration", {}).get("alternateTargetGroupArn")
        if "targetGroupArn" in balancer:
            return [balancer["targetGroupArn"], *([alternate] if alternate else [])]
    return []


def prepare(service: Service, pace: Pace) -> None:
    """Give the newest revision its target group, and its deployment a way to go where its strategy shifts traffic."""
    green, attempt = service.primary, service.current
    if service.controller != "ECS" or green is None or attempt is None:
        return
    groups, blue = target_groups(service.config), _serving(service)
    configuration = attempt.deployment_configuration
    if configuration["strategy"] not in SHIFTING:
        _stay(service, green, groups, blue)
        return
    served = blue.revision.target_group if blue else ""
    green.revision.target_group = next((group for group in groups if group != served), "") if groups else ""
    former = [item for item in service.deployments if item is not green]
    attempt.green = green
    attempt.blue = blue if service.last_completed is not None else None
    attempt.shift = Shift(
        attempt.plan,
        Clock(pace.minute_seconds, pace.stage_seconds),
        lambda: secrets.token_urlsafe(_HOOK_KEY_BYTES),
        has_blue=attempt.blue is not None,
        others=any(item is not attempt.blue for item in former),
    )
    _spread(service, attempt, groups)


def _serving(service: Service) -> Deployment | None:
    """Return the former deployment that gets most of the production traffic."""
    former = [item for item in service.deployments if item.status != "PRIMARY"]
    shares = service.traffic.production if service.traffic else {}

    def rank(item: Deployment) -> tuple[float, bool]:
        return shares.get(item.revision.target_group, 0.0), item is service.last_completed

    return max(former, key=rank, default=None)


def _stay(service: Service, green: Deployment, groups: list[str], blue: Deployment | None) -> None:
    """Leave a rolling deployment in the target group that serves."""
    served = blue.revision.target_group if blue else ""
    green.revision.target_group = served if served in groups else next(iter(groups), "")
    if len(groups) < 2:
        service.traffic = None
    elif service.traffic is not None:
        shares = {group: 100.0 if group == green.revision.target_group else 0.0 for group in groups}
        service.traffic = Traffic(shares, dict(shares))


def _spread(service: Service, attempt: ServiceDeployment, groups: list[str]) -> None:
    """Set the rules' weights to what the deployment wants; a service without load balancer has none."""
    assert attempt.shift is not None
    assert attempt.green is not None
    if not groups:
        service.traffic = None
        return
    green = attempt.green.revision.target_group
    other = next((group for group in groups if group != green), green)
    blue = (attempt.blue.revision.target_group if attempt.blue else "") or other
    wanted = attempt.shift.wanted
    service.traffic = Traffic(
        {blue: 100.0 - wanted.production, green: wanted.production},
        {blue: 100.0 - wanted.test, green: wanted.test},
    )


def in_charge(service: Service) -> bool:
    """Say whether the service's tasks follow a deployment that shifts traffic."""
    attempt = service.current
    return (
        attempt is not None
        and attempt.shift is not None
        and attempt.status not in {"SUCCESSFUL", "ROLLBACK_SUCCESSFUL"}
    )


def wanted_tasks(service: Service) -> dict[Deployment, int]:
    """Return how many tasks each deployment should have."""
    attempt = service.current
    assert attempt is not None
    assert attempt.shift is not None
    desired, wanted = desired_count(service), attempt.shift.wanted
    found = {}
    for item in service.deployments:
        if item is attempt.green:
            found[item] = desired if wanted.green else 0
        elif item is attempt.blue:
            found[item] = desired if wanted.blue else 0
        else:
            staying = sum(1 for task in service.tasks if task.stays and task.deployment is item)
            found[item] = staying if wanted.others else 0
    return found


def advance(service: Service, answers: Mapping[str, str], firing: frozenset[str], now: float) -> None:
    """Take the service's newest deployment further, and end former ones that made way for it."""
    for former in service.service_deployments[:-1]:
        if former.shift is not None and not former.finished:
            former.shift.advance(Seen(now))
            former.status, former.reason = former.shift.status, former.shift.reason
            rollout.finish(service, former, former.status, now)
    attempt = service.current
    if attempt is None or attempt.shift is None or attempt.finished:
        return
    attempt.shift.advance(_seen(service, attempt, answers, firing, now))
    _show(service, attempt, attempt.shift, now)


def _seen(
    service: Service,
    attempt: ServiceDeployment,
    answers: Mapping[str, str],
    firing: frozenset[str],
    now: float,
) -> Seen:
    desired = desired_count(service)

    def good(deployment: Deployment | None) -> bool:
        return sum(1 for task in service.tasks if task.good and task.deployment is deployment) >= desired

    left = {task.deployment for task in service.live_tasks}
    return Seen(
        now=now,
        green_good=good(attempt.green),
        blue_good=good(attempt.blue),
        green_gone=attempt.green not in left,
        blue_gone=attempt.blue not in left,
        others_gone=left <= {attempt.green, attempt.blue},
        answers=answers,
        firing=firing,
    )


def _show(service: Service, attempt: ServiceDeployment, shift: Shift, now: float) -> None:
    """Take over how far the deployment is."""
    if attempt.status == "PENDING" and shift.status != "PENDING":
        attempt.started_at = now
    attempt.reason, attempt.triggered = shift.reason, shift.triggered
    if shift.going_back and attempt.rollback is None:
        _turn_back(service, attempt, now)
    shown = (shift.status, shift.stage, shift.wanted)
    if shown != attempt.shown:
        attempt.shown, attempt.status, attempt.updated_at = shown, shift.status, now
    _spread(service, attempt, target_groups(service.config))
    if shift.ended:
        _end(service, attempt, shift, now)


def _turn_back(service: Service, attempt: ServiceDeployment, now: float) -> None:
    assert attempt.green is not None
    assert attempt.blue is not None
    rollout.fail(attempt.green, f"ECS deployment {attempt.green.id} is rolled back.", now)
    words = "Service deployment rolling back to"
    attempt.blue = rollout.go_back_to(service, attempt, attempt.blue, words, now)


def _end(service: Service, attempt: ServiceDeployment, shift: Shift, now: float) -> None:
    primary = service.primary
    assert primary is not None
    if shift.status in {"SUCCESSFUL", "ROLLBACK_SUCCESSFUL"}:
        attempt.status = "IN_PROGRESS"  # completing ends it
        rollout.complete(service, primary, now)
        service.deployments = [primary]
        return
    rollout.fail(primary, f"ECS deployment {primary.id} was stopped.", now)
    rollout.finish(service, attempt, shift.status, now)
