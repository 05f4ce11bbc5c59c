"""A service's settings: AWS's defaults, what an update changes, and what AWS does not accept."""

from __future__ import annotations

from sandbox.ecs.answers.services import ROLLED
from sandbox.ecs.model import Service, TaskDefinition
from sandbox.ecs.names import Fields, Names, invalid

_NOT_SETTINGS = frozenset(
    {
        "clientToken",
        "cluster",
        "desiredCount",
        "forceNewDeployment",
        "role",
        "service",
        "serviceName",
        "tags",
        "taskDefinition",
    }
)
_ROLLING = frozenset({"taskDefinition", "forceNewDeployment", *ROLLED}) - {"launchType", "platformFamily"}


def initial_config(parameters: Fields, names: Names) -> Fields:
    """Return a new service's settings with what AWS fills in."""
    given = {key: value for key, value in parameters.items() if key not in _NOT_SETTINGS}
    daemon = given.get("schedulingStrategy") == "DAEMON"
    config: Fields = {
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": "ECS"},
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "propagateTags": "NONE",
        "availabilityZoneRebalancing": "DISABLED",
    }
    if not given.get("capacityProviderStrategy"):
        config["launchType"] = "EC2"
    if given.get("launchType") == "FARGATE":
        config |= {"platformVersion": "LATEST", "platformFamily": "Linux"}
    if given.get("loadBalancers"):
        config["healthCheckGracePeriodSeconds"] = 0
        config["roleArn"] = (
            f"arn:aws:iam::{names.account}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
        )
    if "role" in parameters:
        config["roleArn"] = parameters["role"]
    config |= given
    deployment: Fields = {
        "deploymentCircuitBreaker": {"enable": False, "rollback": False},
        "maximumPercent": 100 if daemon else 200,
        "minimumHealthyPercent": 0 if daemon else 100,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    }
    return config | {"deploymentConfiguration": deployment | given.get("deploymentConfiguration", {})}


def changed_config(service: Service, parameters: Fields) -> Fields:
    """Return the settings after an update; what is omitted stays.

    Raises:
        ApiError: ``InvalidParameterException``: another controller than ECS makes this service's deployments.
    """
    given = {key: value for key, value in parameters.items() if key not in _NOT_SETTINGS}
    if service.controller != "ECS":
        refused = sorted(_ROLLING & {key for key, value in parameters.items() if value})
        if refused:
            way = (
                "Use AWS CodeDeploy to trigger a new deployment."
                if service.controller == "CODE_DEPLOY"
                else "Create a new task set."
            )
            what = (
                "force a new deployment"
                if refused[0] == "forceNewDeployment"
                else "update " + _in_words(refused[-1])
            )
            article = "an" if service.controller == "EXTERNAL" else "a"
            raise invalid(
                f"Unable to {what} on services with {article} {service.controller} deployment controller. {way}"
            )
    config = service.config | given
    if "deploymentConfiguration" in given:
        merged = service.config["deploymentConfiguration"] | given["deploymentConfiguration"]
        config["deploymentConfiguration"] = merged
    if given.get("capacityProviderStrategy"):
        config.pop("launchType", None)
    return config


def _in_words(member: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in member)


def revision_config(config: Fields) -> Fields:
    """Return the part of the settings that a service revision is made of."""
    return {key: config[key] for key in ROLLED if key in config}


def check_config(config: Fields, definition: TaskDefinition | None) -> None:
    """Refuse settings that AWS refuses.

    Raises:
        ApiError: ``InvalidParameterException``.
    """
    deployment = config["deploymentConfiguration"]
    if deployment["maximumPercent"] < 100 or not 0 <= deployment["minimumHealthyPercent"] <= 100:
        raise invalid("maximumPercent is at least 100 and minimumHealthyPercent between 0 and 100.")
    if deployment["maximumPercent"] == 100 and deployment["minimumHealthyPercent"] == 100:
        raise invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments."
        )
    if config.get("healthCheckGracePeriodSeconds") and not config["loadBalancers"]:
        raise invalid("Health check grace period is only valid for services configured to use load balancers")
    network = config.get("networkConfiguration", {}).get("awsvpcConfiguration")
    if network is not None and not network["subnets"]:
        raise invalid("subnets can not be empty.")
    if definition is None:
        return
    awsvpc = definition.fields.get("networkMode") == "awsvpc"
    if awsvpc and "networkConfiguration" not in config:
        raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
    for balancer in config["loadBalancers"]:
        _check_balancer(balancer, definition)


def _check_balancer(balancer: Fields, definition: TaskDefinition) -> None:
    name = balancer.get("containerName")
    containers = {item["name"]: item for item in definition.fields["containerDefinitions"]}
    if name not in containers:
        raise invalid(f"The container {name} does not exist in the task definition.")
    ports = [mapping.get("containerPort") for mapping in containers[name]["portMappings"]]
    if balancer.get("containerPort") not in ports:
        raise invalid(
            f"The container {name} did not have a container port {balancer.get('containerPort')} defined."
        )
