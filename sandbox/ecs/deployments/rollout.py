"""Deployments from request to end: start, supersede, trip, roll back, stop, complete."""

from __future__ import annotations

import secrets

from sandbox.ecs.answers.services import ROLLED, desired_count, revision_counts, without
from sandbox.ecs.limits import Pace, failures_allowed
from sandbox.ecs.model import Deployment, Revision, Rollback, Service, ServiceDeployment, TaskDefinition
from sandbox.ecs.names import Fields, new_number
from sandbox.ecs.store import Store
from sandbox.ecs.strategies.plan import because_of, plan_of
from sandbox.ecs.strategies.shift import BY_USER

BREAKER_REASON = "Service deployment rolled back because the circuit breaker threshold was exceeded."


def begin(service: Service, definition: TaskDefinition, config: Fields, store: Store, now: float) -> None:
    """Make a new PRIMARY deployment, with a revision of its own, and push what was under way aside."""
    cluster, names = service.cluster.name, store.names
    number = new_number()
    arn = names.service_revision(cluster, service.name, number)
    containers = definition.fields["containerDefinitions"]
    digests = {item["name"]: store.digest_of(item["image"]) for item in containers}
    revision = Revision(number, arn, definition, config, digests, now)
    sources = list(dict.fromkeys(item.revision for item in service.deployments))
    _supersede(service, now)
    deployment = Deployment(number, revision, now, now)
    deployment.reason = f"ECS deployment {deployment.id} in progress."
    service.deployments.insert(0, deployment)
    service.revisions.append(revision)
    service.steady = False
    if service.controller != "ECS":
        return
    attempt_id = secrets.token_urlsafe(15)
    configuration = dict(service.config["deploymentConfiguration"])
    service.service_deployments.append(
        ServiceDeployment(
            id=attempt_id,
            arn=names.service_deployment(cluster, service.name, attempt_id),
            target=revision,
            sources=sources,
            deployment_configuration=configuration,
            created_at=now,
            updated_at=now,
            threshold=failures_allowed(configuration, desired_count(service)),
            plan=plan_of(configuration),
        )
    )


def _supersede(service: Service, now: float) -> None:
    """Make way for a newer deployment."""
    for deployment in service.deployments:
        _step_down(service, deployment)
        deployment.updated_at = now
    attempt = service.current
    if attempt is None or attempt.finished:
        return
    if attempt.shift is not None:
        attempt.shift.give_way()
        attempt.status, attempt.reason = attempt.shift.status, attempt.shift.reason
        if attempt.shift.ended:
            finish(service, attempt, attempt.status, now)
        return
    going_back = attempt.status.startswith("ROLLBACK")
    finish(service, attempt, "ROLLBACK_FAILED" if going_back else "STOPPED", now)
    attempt.reason = "Service deployment stopped because a newer service deployment was started."


def _step_down(service: Service, deployment: Deployment) -> None:
    """Make a deployment a former one: it holds what it had, or what it has that is good where it was never completed."""
    if deployment.status == "PRIMARY" and deployment.rollout_state != "COMPLETED":
        good = (task for task in service.live_tasks if task.good and task.deployment is deployment)
        deployment.wanted = sum(1 for _ in good)
    deployment.status = "ACTIVE"


def rescale(service: Service, desired: int) -> None:
    """Set how many tasks a service wants; more of them count for the revision that is being replaced too."""
    more = max(0, desired - service.desired)
    service.desired = desired
    former = (item for item in service.deployments if item.status != "PRIMARY" and item.wanted)
    for deployment in former:
        if deployment.rollout_state == "COMPLETED":
            deployment.wanted += more


def advance(service: Service, pace: Pace, firing: frozenset[str], now: float) -> None:
    """Take the newest deployment one step further, when it is time for one.

    It is COMPLETED once everything has been as wanted for a while: for its bake time too where it has alarms.
    """
    primary, attempt = service.primary, service.current
    if primary is None:
        return
    if attempt is not None and not attempt.finished:
        _advance_attempt(service, primary, attempt, firing, now)
    primary = service.primary
    if primary is not None:
        _complete_when_good(service, primary, pace, now)


def _advance_attempt(
    service: Service, primary: Deployment, attempt: ServiceDeployment, firing: frozenset[str], now: float
) -> None:
    if attempt.status == "PENDING":
        attempt.ignored_alarms = firing
        _move(attempt, "IN_PROGRESS", now)
        attempt.started_at = now
    elif attempt.status == "STOP_REQUESTED":
        _abort(service, primary, attempt, now)
    elif attempt.status == "ROLLBACK_REQUESTED":
        fail(primary, f"ECS deployment {primary.id} was stopped by a StopServiceDeployment request.", now)
        _roll_back(service, attempt, BY_USER, "Service deployment stopped: rolling back to", now)
    _watch_breaker(service, primary, attempt, now)
    _watch_alarms(service, primary, attempt, firing - attempt.ignored_alarms, now)


def _watch_alarms(
    service: Service, primary: Deployment, attempt: ServiceDeployment, firing: frozenset[str], now: float
) -> None:
    found = [name for name in attempt.plan.alarms if name in firing]
    if not found or attempt.status != "IN_PROGRESS":
        return
    attempt.triggered = found
    fail(primary, f"ECS deployment {primary.id}: CloudWatch alarm detected.", now)
    if attempt.plan.alarms_roll_back:
        why = f"Service deployment rolled back {because_of(found)}"
        _roll_back(service, attempt, why, "CloudWatch alarm: rolling back to", now)
    else:
        finish(service, attempt, "STOPPED", now)
        attempt.reason = f"Service deployment stopped {because_of(found)}"


def _move(attempt: ServiceDeployment, status: str, now: float) -> None:
    attempt.status = status
    attempt.updated_at = now


def fail(deployment: Deployment, reason: str, now: float) -> None:
    """Say of a deployment that it failed."""
    deployment.rollout_state = "FAILED"
    deployment.reason = reason
    deployment.updated_at = now


def _abort(service: Service, primary: Deployment, attempt: ServiceDeployment, now: float) -> None:
    fail(primary, f"ECS deployment {primary.id} was aborted by a StopServiceDeployment request.", now)
    finish(service, attempt, "STOPPED", now)
    attempt.reason = "Service deployment stopped by a StopServiceDeployment request."


def _watch_breaker(service: Service, primary: Deployment, attempt: ServiceDeployment, now: float) -> None:
    if attempt.finished or primary.rollout_state != "IN_PROGRESS":
        return
    breaker = service.config["deploymentConfiguration"].get("deploymentCircuitBreaker", {})
    attempt.threshold = failures_allowed(service.config["deploymentConfiguration"], desired_count(service))
    if attempt.status == "IN_PROGRESS":
        attempt.failures = primary.failed_tasks
    if not breaker.get("enable") or primary.failed_tasks < attempt.threshold:
        return
    fail(primary, "ECS deployment circuit breaker: tasks failed to start.", now)
    service.say(f"(deployment {primary.id}) deployment failed: tasks failed to start.", now)
    if attempt.status != "IN_PROGRESS":  # the rollback itself cannot start its tasks
        finish(service, attempt, "ROLLBACK_FAILED", now)
        attempt.reason = "Service deployment rollback failed: tasks failed to start."
        return
    attempt.breaker_tripped = True
    if breaker.get("rollback"):
        _roll_back(service, attempt, BREAKER_REASON, "ECS deployment circuit breaker: rolling back to", now)
    else:
        finish(service, attempt, "STOPPED", now)
        attempt.reason = "Service deployment stopped because the circuit breaker threshold was exceeded."


def _roll_back(service: Service, attempt: ServiceDeployment, why: str, words: str, now: float) -> None:
    """Make the last completed revision PRIMARY again; its tasks that still live are taken over."""
    last = service.last_completed
    attempt.reason = why
    if last is None:
        finish(service, attempt, "ROLLBACK_FAILED", now)
        attempt.reason = (
            "Service deployment rollback failed: no completed service deployment to roll back to."
        )
        return
    go_back_to(service, attempt, last, words, now)


def go_back_to(
    service: Service, attempt: ServiceDeployment, last: Deployment, words: str, now: float
) -> Deployment:
    """Make a former deployment's revision PRIMARY again, by a deployment of its own, and return that."""
    deployment = Deployment(new_number(), last.revision, now, now)
    deployment.reason = f"{words} deploymentId {last.id}."
    for task in service.live_tasks:
        if task.deployment.revision is last.revision:
            task.deployment = deployment
    service.deployments = [item for item in service.deployments if item.revision is not last.revision]
    for item in service.deployments:
        _step_down(service, item)
    service.deployments.insert(0, deployment)
    service.config = without(service.config, ROLLED) | last.revision.config
    service.steady = False
    attempt.rollback = Rollback(attempt.reason or "", now, last.revision)
    _move(attempt, "ROLLBACK_IN_PROGRESS", now)
    service.say(f"rolling back to deployment {last.id}.", now)
    return deployment


def _bake_seconds(service: Service, pace: Pace) -> float:
    """Return the bake time of what is under way; only alarms make a rolling deployment wait for it."""
    attempt = service.current
    if attempt is None or attempt.finished or attempt.rollback is not None or not attempt.plan.alarms:
        return 0.0
    return attempt.plan.bake_minutes * pace.minute_seconds


def _complete_when_good(service: Service, primary: Deployment, pace: Pace, now: float) -> None:
    if not (_all_as_wanted(service, primary) or _early_success(service, primary)):
        primary.good_since = None
        service.steady = False
        return
    primary.good_since = primary.good_since or now
    waited = now - primary.good_since - pace.steady_seconds
    if waited < 0:
        return
    if primary.rollout_state == "IN_PROGRESS" and waited >= _bake_seconds(service, pace):
        complete(service, primary, now)
    if _all_as_wanted(service, primary):
        service.deployments = [primary]
        if not service.steady:
            service.steady = True
            service.say("has reached a steady state.", now)


def _all_as_wanted(service: Service, primary: Deployment) -> bool:
    live = service.live_tasks
    good = sum(1 for task in live if task.good and task.deployment is primary)
    return primary.rollout_state != "FAILED" and good == len(live) == desired_count(service)


def _early_success(service: Service, primary: Deployment) -> bool:
    """Say whether the service calls it a success before all is done, and that much is done."""
    criteria = service.config["deploymentConfiguration"].get("earlySuccessCriteria", {})
    if not criteria.get("enable") or primary.rollout_state != "IN_PROGRESS":
        return False
    good = sum(1 for task in service.live_tasks if task.good and task.deployment is primary)
    others = any(task.deployment is not primary for task in service.live_tasks)
    if others and criteria.get("sourceServiceRevisionCleanup") != "DEFERRED":
        return False
    return good * 100 >= int(criteria.get("healthyPercent", 100)) * desired_count(service)


def complete(service: Service, primary: Deployment, now: float) -> None:
    """Say of the PRIMARY deployment that it is complete, which ends the service deployment well."""
    primary.rollout_state = "COMPLETED"
    primary.reason = f"ECS deployment {primary.id} completed."
    primary.updated_at = now
    service.last_completed = primary
    service.say(f"(deployment {primary.id}) deployment completed.", now)
    attempt = service.current
    if attempt is None or attempt.finished:
        return
    finish(service, attempt, "ROLLBACK_SUCCESSFUL" if attempt.rollback else "SUCCESSFUL", now)


def finish(service: Service, attempt: ServiceDeployment, status: str, now: float) -> None:
    """End a service deployment."""
    _move(attempt, status, now)
    attempt.finished_at = now
    if status == "STOPPED":
        attempt.stopped_at = now
    for revision in (attempt.target, *attempt.sources):
        attempt.counts[revision.arn] = revision_counts(service, revision)
