"""The actions on services, their deployments and their revisions."""

from __future__ import annotations

import re
import time

from sandbox.ecs.actions.service_config import changed_config, check_config, initial_config, revision_config
from sandbox.ecs.actions.tagging import read_tags
from sandbox.ecs.answers.services import revision_fields, service_fields
from sandbox.ecs.answers.tasks import brief_fields, service_deployment_fields
from sandbox.ecs.deployments import rollout, shifting
from sandbox.ecs.limits import Pace
from sandbox.ecs.model import Service, ServiceDeployment, TaskDefinition
from sandbox.ecs.names import NAME, ApiError, Fields, invalid, service_not_active
from sandbox.ecs.protocol import described, page
from sandbox.ecs.store import Store, named
from sandbox.ecs.strategies.checks import check_strategy

MOST_DESCRIBED = 10

MOST_ARNS = 20
_HOOK_ID = re.compile(r"ecs-[a-z]+-[A-Za-z0-9_-]+")


class ServiceActions:
    """Create, update, describe, list and delete services."""

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace

    def create(self, parameters: Fields) -> Fields:
        """Create a service and its first deployment."""
        cluster = self._store.cluster(parameters.get("cluster"))
        name = parameters["serviceName"]
        if not NAME.fullmatch(name):
            raise invalid("Service names have 1 to 255 letters, numbers, hyphens and underscores.")
        existing = cluster.services.get(name)
        if existing is not None and existing.status != "INACTIVE":
            raise invalid("Creation of service was not idempotent.")
        config = initial_config(parameters, self._store.names)
        definition = None
        if "taskDefinition" in parameters:
            definition = self._store.deployable(parameters["taskDefinition"])
        elif config["deploymentController"]["type"] != "EXTERNAL":
            raise invalid("TaskDefinition can not be blank.")
        check_config(config, definition)
        check_strategy(config)
        desired = _desired(parameters, config, parameters.get("desiredCount"))
        now = time.time()
        arn = self._store.names.service(cluster.name, name)
        service = Service(name, arn, cluster, config, desired, read_tags(parameters.get("tags")), now)
        cluster.services[name] = service
        if definition is not None:
            self._begin(service, definition, revision_config(config), now)
        return {"service": service_fields(service, tags=True)}

    def update(self, parameters: Fields) -> Fields:
        """Change a service; a new deployment starts only when something that tasks are made from changes."""
        service = self._store.service(parameters.get("cluster"), parameters["service"])
        if service.status != "ACTIVE":
            raise service_not_active()
        config = changed_config(service, parameters)
        primary = service.primary
        definition = primary.revision.task_definition if primary else None
        if "taskDefinition" in parameters:
            definition = self._store.deployable(parameters["taskDefinition"])
        check_config(config, definition)
        check_strategy(config)
        rollout.rescale(
            service, _desired(parameters, config, parameters.get("desiredCount", service.desired))
        )
        service.config = config
        rolled = revision_config(config)
        if primary is not None and definition is not None:
            same = primary.revision.task_definition is definition and primary.revision.config == rolled
            if not same or parameters.get("forceNewDeployment"):
                self._begin(service, definition, rolled, time.time())
        return {"service": service_fields(service)}

    def _begin(self, service: Service, definition: TaskDefinition, config: Fields, now: float) -> None:
        rollout.begin(service, definition, config, self._store, now)
        shifting.prepare(service, self._pace)

    def describe(self, parameters: Fields) -> Fields:
        """Describe up to ten services; those that do not exist are ``failures``."""
        cluster = self._store.cluster(parameters.get("cluster"))
        names = parameters["services"]
        if not names:
            raise invalid("Services cannot be empty.")
        if len(names) > MOST_DESCRIBED:
            raise invalid(f"Services list may have at most {MOST_DESCRIBED} items.")
        return described(
            "services",
            names,
            lambda name: named(cluster.services, name),
            lambda service: service_fields(service, tags="TAGS" in parameters.get("include", ())),
            lambda name: self._store.names.arn(f"service/{name}"),
        )

    def list(self, parameters: Fields) -> Fields:
        """List the ARNs of a cluster's active services."""
        cluster = self._store.cluster(parameters.get("cluster"))
        arns = [
            service.arn
            for service in cluster.services.values()
            if service.status == "ACTIVE"
            and all(
                service.config.get(key) == parameters[key]
                for key in ("launchType", "schedulingStrategy")
                if key in parameters
            )
        ]
        return page(arns, parameters, "serviceArns", default=10)

    def delete(self, parameters: Fields) -> Fields:
        """Delete a service: it drains until its last task ended."""
        service = self._store.service(parameters.get("cluster"), parameters["service"])
        if service.status == "INACTIVE":
            raise service_not_active()
        daemon = service.config["schedulingStrategy"] == "DAEMON"
        if service.desired > 0 and not daemon and not parameters.get("force"):
            raise invalid("The service cannot be stopped while it is scaled above 0.")
        under_way = service.current is not None and not service.current.finished
        if under_way and len(service.deployments) > 1 and not parameters.get("force"):
            raise invalid("The service cannot be stopped while deployments are active.")
        service.status = "DRAINING"
        service.desired = 0
        return {"service": service_fields(service)}


def _desired(parameters: Fields, config: Fields, desired: int | None) -> int:
    if config["schedulingStrategy"] == "DAEMON":
        if "desiredCount" in parameters:
            raise invalid("The daemon scheduling strategy does not support a desired count for services.")
        return 0
    if desired is None:
        return 0 if config["deploymentController"]["type"] == "EXTERNAL" else 1
    if desired < 0:
        raise invalid("Invalid desired count: it must not be negative.")
    return desired


class ServiceDeploymentActions:
    """List, describe and stop service deployments; describe service revisions."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, parameters: Fields) -> Fields:
        """List a service's deployments, the newest first."""
        service = self._store.service(parameters.get("cluster"), parameters["service"])
        created = parameters.get("createdAt", {})
        statuses = parameters.get("status")
        found = [
            brief_fields(service, deployment)
            for deployment in reversed(service.service_deployments)
            if (not statuses or deployment.status in statuses)
            and deployment.created_at >= created.get("after", 0)
            and deployment.created_at <= created.get("before", float("inf"))
        ]
        return page(found, parameters, "serviceDeployments", default=20)

    def describe(self, parameters: Fields) -> Fields:
        """Describe service deployments; those that do not exist are ``failures``."""
        arns = _checked(parameters["serviceDeploymentArns"], ":service-deployment/")
        return described(
            "serviceDeployments", arns, self._find, lambda both: service_deployment_fields(*both)
        )

    def describe_revisions(self, parameters: Fields) -> Fields:
        """Describe service revisions; those that do not exist are ``failures``."""
        arns = _checked(parameters["serviceRevisionArns"], ":service-revision/")
        known = {
            revision.arn: (service, revision)
            for service in self._store.services()
            for revision in service.revisions
        }
        return described("serviceRevisions", arns, known.get, lambda both: revision_fields(*both))

    def stop(self, parameters: Fields) -> Fields:
        """Ask a service deployment to roll back or to stop where it is; asked again it continues with that."""
        arn = parameters["serviceDeploymentArn"]
        _checked([arn], ":service-deployment/")
        both = self._find(arn)
        if both is None:
            raise ApiError("ServiceDeploymentNotFoundException", "Service deployment not found.")
        _, deployment = both
        if deployment.finished:
            raise ApiError(
                "ConflictException",
                f"Service deployment {arn} cannot be stopped: it is in state {deployment.status}.",
            )
        abort = parameters.get("stopType") == "ABORT"
        if deployment.shift is not None:
            deployment.shift.stop(abort=abort)
            deployment.status = deployment.shift.status
        elif deployment.status in {"PENDING", "IN_PROGRESS"}:
            deployment.status = "STOP_REQUESTED" if abort else "ROLLBACK_REQUESTED"
        return {"serviceDeploymentArn": arn}

    def continue_after_hook(self, parameters: Fields) -> Fields:
        """Answer a pause hook: continue, or roll back."""
        arn, hook_id = parameters["serviceDeploymentArn"], parameters["hookId"]
        _checked([arn], ":service-deployment/")
        if not _HOOK_ID.fullmatch(hook_id):
            raise invalid("Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}")
        both = self._find(arn)
        if both is None:
            raise ApiError("ServiceDeploymentNotFoundException", "The service deployment does not exist.")
        _, deployment = both
        if deployment.finished:
            raise invalid(
                "Continuing a service deployment is not allowed for service deployment in terminal states."
            )
        action = parameters.get("action", "CONTINUE")
        if deployment.shift is None or not deployment.shift.answer(hook_id, action):
            raise invalid(
                "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN"
            )
        return {"serviceDeploymentArn": arn}

    def _find(self, arn: str) -> tuple[Service, ServiceDeployment] | None:
        for service in self._store.services():
            for deployment in service.service_deployments:
                if deployment.arn == arn:
                    return service, deployment
        return None


def _checked(arns: list[str], kind: str) -> list[str]:
    if not 1 <= len(arns) <= MOST_ARNS:
        raise invalid(f"Between 1 and {MOST_ARNS} ARNs can be given.")
    wrong = [arn for arn in arns if not arn.startswith("arn:aws:ecs:") or kind not in arn]
    if wrong:
        raise invalid(f"Invalid ARN: {wrong[0]}")
    return arns
