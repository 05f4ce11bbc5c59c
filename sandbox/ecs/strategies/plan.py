"""What a deployment configuration of BLUE_GREEN, LINEAR or CANARY asks for: steps, waits, hooks, alarms."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.ecs.names import Fields

SHIFTING = frozenset({"BLUE_GREEN", "LINEAR", "CANARY"})
"""Strategies that shift traffic."""
HOOK_MINUTES = 1440
"""How long a hook may take when nothing is said."""


@dataclass(frozen=True)
class Hook:
    """A lifecycle hook."""

    kind: str
    """``AWS_LAMBDA`` or ``PAUSE``."""
    stages: frozenset[str]
    target: str | None = None
    """The Lambda function's ARN."""
    minutes: float = HOOK_MINUTES
    at_timeout: str = "ROLLBACK"
    """``ROLLBACK`` or ``CONTINUE``."""


@dataclass(frozen=True)
class Plan:
    """What one deployment will do."""

    shares: tuple[float, ...] = (100.0,)
    """Percent of production traffic that the new revision gets, step by step."""
    step_minutes: float = 0.0
    """The wait after each share but the last."""
    bake_minutes: float = 0.0
    hooks: tuple[Hook, ...] = ()
    alarms: tuple[str, ...] = ()
    """Names of the alarms that are monitored."""
    alarms_roll_back: bool = False

    def hooks_at(self, stage: str) -> list[Hook]:
        """Return the hooks of a stage."""
        return [hook for hook in self.hooks if stage in hook.stages]


def plan_of(configuration: Fields) -> Plan:
    """Read a deployment configuration."""
    alarms = configuration.get("alarms", {})
    shares, step_minutes = _steps(configuration)
    return Plan(
        shares=shares,
        step_minutes=step_minutes,
        bake_minutes=float(configuration.get("bakeTimeInMinutes", 0)),
        hooks=tuple(_hook(item) for item in configuration.get("lifecycleHooks", [])),
        alarms=tuple(alarms.get("alarmNames", [])) if alarms.get("enable") else (),
        alarms_roll_back=bool(alarms.get("rollback")),
    )


def because_of(alarms: list[str]) -> str:
    """Say which alarms ended a deployment."""
    return f"because CloudWatch alarm(s) were triggered: {', '.join(alarms)}."


def _steps(configuration: Fields) -> tuple[tuple[float, ...], float]:
    match configuration["strategy"]:
        case "CANARY":
            canary = configuration.get("canaryConfiguration", {})
            first = float(canary.get("canaryPercent", 5.0))
            return (first, 100.0)[first >= 100 :], float(canary.get("canaryBakeTimeInMinutes", 10))
        case "LINEAR":
            linear = configuration.get("linearConfiguration", {})
            step = float(linear.get("stepPercent", 10.0))
            count = int(100 // step) if 100 % step else int(100 // step) - 1
            shares = (*(round(step * (number + 1), 1) for number in range(count)), 100.0)
            return shares, float(linear.get("stepBakeTimeInMinutes", 6))
    return (100.0,), 0.0


def _hook(fields: Fields) -> Hook:
    timeout = fields.get("timeoutConfiguration", {})
    return Hook(
        kind=fields.get("targetType", "AWS_LAMBDA"),
        stages=frozenset(fields.get("lifecycleStages", [])),
        target=fields.get("hookTargetArn"),
        minutes=timeout.get("timeoutInMinutes", HOOK_MINUTES),
        at_timeout=timeout.get("action", "ROLLBACK"),
    )
