"""Turn what the ECS API says of deployments that shift traffic into facts. Pure; the shapes are botocore's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runbook_model.releases.shifting import ALL, SHIFTING, Hook, Share, Shift, Shifting, WaitingHook

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        DeploymentConfigurationOutputTypeDef,
        DeploymentLifecycleHookOutputTypeDef,
        LoadBalancerTypeDef,
        ServiceDeploymentTypeDef,
        ServiceRevisionSummaryTypeDef,
    )

HOOK_MINUTES = 1440
"""How long a hook may take where nothing else is set."""


def read_shifting(
    configuration: DeploymentConfigurationOutputTypeDef, balancers: Iterable[LoadBalancerTypeDef] = ()
) -> Shifting | None:
    """Read how deployments shift traffic; None where they do not."""
    strategy = configuration.get("strategy", "ROLLING")
    if strategy not in SHIFTING:
        return None
    percent, step_minutes = ALL, 0
    if strategy == "CANARY":
        canary = configuration.get("canaryConfiguration", {})
        percent, step_minutes = canary.get("canaryPercent", 5.0), canary.get("canaryBakeTimeInMinutes", 10)
    elif strategy == "LINEAR":
        linear = configuration.get("linearConfiguration", {})
        percent, step_minutes = linear.get("stepPercent", 10.0), linear.get("stepBakeTimeInMinutes", 6)
    alarms = configuration.get("alarms")
    rules = (item.get("advancedConfiguration", {}).get("productionListenerRule") for item in balancers)
    return Shifting(
        strategy=strategy,
        percent=percent,
        step_minutes=step_minutes,
        bake_minutes=configuration.get("bakeTimeInMinutes", 0),
        hooks=tuple(_hook(hook) for hook in configuration.get("lifecycleHooks", [])),
        alarms=tuple(alarms["alarmNames"]) if alarms and alarms["enable"] else (),
        rules=tuple(dict.fromkeys(rule for rule in rules if rule)),
    )


def _hook(hook: DeploymentLifecycleHookOutputTypeDef) -> Hook:
    timeout = hook.get("timeoutConfiguration", {})
    return Hook(
        kind=hook.get("targetType", "AWS_LAMBDA"),
        stages=tuple(hook.get("lifecycleStages", [])),
        minutes=timeout.get("timeoutInMinutes", HOOK_MINUTES),
        at_timeout=timeout.get("action", "ROLLBACK"),
    )


def read_shift(found: ServiceDeploymentTypeDef) -> Shift | None:
    """Read how far a service deployment is that shifts traffic; None where it shifts none."""
    settings = read_shifting(found.get("deploymentConfiguration", {}))
    if settings is None:
        return None
    return Shift(
        settings=settings,
        stage=found.get("lifecycleStage"),
        target=_share(found.get("targetServiceRevision", {})),
        sources=tuple(_share(source) for source in found.get("sourceServiceRevisions", [])),
        paused=tuple(
            WaitingHook(
                id=hook.get("hookId", ""),
                expires_at=hook.get("expiresAt"),
                at_timeout=hook.get("timeoutAction", "ROLLBACK"),
            )
            for hook in found.get("lifecycleHookDetails", [])
            if hook.get("status") == "AWAITING_ACTION"
        ),
    )


def _share(revision: ServiceRevisionSummaryTypeDef) -> Share:
    return Share(
        revision=revision.get("arn", ""),
        wanted=revision.get("requestedTaskCount", 0),
        running=revision.get("runningTaskCount", 0),
        production=revision.get("requestedProductionTrafficWeight"),
        test=revision.get("requestedTestTrafficWeight"),
    )
