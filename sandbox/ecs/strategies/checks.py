"""What AWS refuses of a service whose deployments shift traffic, in its words where they are known."""

from __future__ import annotations

from sandbox.ecs.names import Fields, invalid
from sandbox.ecs.strategies.plan import SHIFTING

MOST_HOOKS = 10
"""Of each kind."""
_NO_PAUSE = frozenset({"TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"})
_RANGES = (
    ((), "bakeTimeInMinutes", 0, 1440),
    (("linearConfiguration",), "stepPercent", 3.0, 100.0),
    (("linearConfiguration",), "stepBakeTimeInMinutes", 0, 1440),
    (("canaryConfiguration",), "canaryPercent", 0.1, 100.0),
    (("canaryConfiguration",), "canaryBakeTimeInMinutes", 0, 1440),
)


def check_strategy(config: Fields) -> None:
    """Refuse a strategy that does not go with the rest of the settings.

    Raises:
        ApiError: ``InvalidParameterException``.
    """
    deployment = config["deploymentConfiguration"]
    _check_balancers(config["loadBalancers"], shifts=deployment["strategy"] in SHIFTING)
    for path, name, least, most in _RANGES:
        values = deployment
        for part in path:
            values = values.get(part, {})
        if not least <= values.get(name, least) <= most:
            raise invalid(f"{name} must be between {least} and {most}.")
    hooks = deployment.get("lifecycleHooks", [])
    for hook in hooks:
        _check_hook(hook)
    for kind in ("AWS_LAMBDA", "PAUSE"):
        if sum(1 for hook in hooks if hook.get("targetType", "AWS_LAMBDA") == kind) > MOST_HOOKS:
            raise invalid(f"At most {MOST_HOOKS} lifecycle hooks of type {kind} can be set.")


def _check_balancers(balancers: list[Fields], *, shifts: bool) -> None:
    advanced = [item["advancedConfiguration"] for item in balancers if "advancedConfiguration" in item]
    if shifts and len(advanced) < len(balancers) and not advanced:
        raise invalid(
            "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy"
        )
    if advanced and len(advanced) < len(balancers):
        raise invalid(
            "Either all or none of the provided loadBalancers must have advancedConfiguration defined"
        )
    for item in advanced:
        for name, kind in (
            ("alternateTargetGroupArn", ":targetgroup/"),
            ("productionListenerRule", ":listener"),
        ):
            if kind not in item.get(name, ""):
                raise invalid(f"advancedConfiguration needs {name}, an ARN of Elastic Load Balancing.")


def _check_hook(hook: Fields) -> None:
    kind = hook.get("targetType", "AWS_LAMBDA")
    if kind == "PAUSE" and _NO_PAUSE & set(hook.get("lifecycleStages", [])):
        raise invalid("Invalid lifecycle stage provided for Pause Hook")
    if kind == "AWS_LAMBDA" and not (hook.get("hookTargetArn") and hook.get("roleArn")):
        raise invalid("A lifecycle hook of type AWS_LAMBDA needs hookTargetArn and roleArn.")
    timeout = hook.get("timeoutConfiguration", {}).get("timeoutInMinutes", 1)
    if not 1 <= timeout <= 20160:
        raise invalid("timeoutInMinutes must be between 1 and 20160.")
