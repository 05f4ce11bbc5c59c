"""The actions on service deployments and service revisions."""

from __future__ import annotations

from sandbox.ecs.errors import ApiError, invalid
from sandbox.ecs.model import Service, ServiceDeployment
from sandbox.ecs.names import Fields
from sandbox.ecs.paging import page
from sandbox.ecs.store import Store
from sandbox.ecs.wire import revision_fields
from sandbox.ecs.wire_tasks import brief_fields, service_deployment_fields

MOST_DESCRIBED = 20


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
        found, failures = [], []
        for arn in arns:
            both = self._find(arn)
            if both is None:
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                found.append(service_deployment_fields(*both))
        return {"serviceDeployments": found, "failures": failures}

    def describe_revisions(self, parameters: Fields) -> Fields:
        """Describe service revisions; those that do not exist are ``failures``."""
        arns = _checked(parameters["serviceRevisionArns"], ":service-revision/")
        known = {
            revision.arn: (service, revision)
            for service in self._store.services()
            for revision in service.revisions
        }
        return {
            "serviceRevisions": [revision_fields(*known[arn]) for arn in arns if arn in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known],
        }

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
        if deployment.status in {"PENDING", "IN_PROGRESS"}:
            abort = parameters.get("stopType") == "ABORT"
            deployment.status = "STOP_REQUESTED" if abort else "ROLLBACK_REQUESTED"
        return {"serviceDeploymentArn": arn}

    def _find(self, arn: str) -> tuple[Service, ServiceDeployment] | None:
        for service in self._store.services():
            for deployment in service.service_deployments:
                if deployment.arn == arn:
                    return service, deployment
        return None


def _checked(arns: list[str], kind: str) -> list[str]:
    if not 1 <= len(arns) <= MOST_DESCRIBED:
        raise invalid(f"Between 1 and {MOST_DESCRIBED} ARNs can be given.")
    wrong = [arn for arn in arns if not arn.startswith("arn:aws:ecs:") or kind not in arn]
    if wrong:
        raise invalid(f"Invalid ARN: {wrong[0]}")
    return arns
