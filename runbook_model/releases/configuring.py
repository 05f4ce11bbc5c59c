"""A service's deployment configuration: its waits taken out for one deployment, and put back after it. Pure.

Only the waits are kept, and what the rest was by its hash: what else a configuration holds does not enter histories, and what
somebody else changed meanwhile is never overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runbook_model.fact import Fact
from runbook_model.releases.shifting import Shifting

_STEPS = {
    "CANARY": ("canaryConfiguration", "canaryBakeTimeInMinutes", 10),
    "LINEAR": ("linearConfiguration", "stepBakeTimeInMinutes", 6),
}
"""Strategy -> the part of the configuration that has the wait between its steps, the name of that, and ECS's default."""


class QuickSettings(Fact):
    """The waits of a deployment configuration, and how it is known again with them and without."""

    strategy: str
    bake_minutes: int
    step_minutes: int = 0
    """The wait after each step but the last."""
    was: str
    """SHA-256 of the configuration as it was."""
    quick: str
    """SHA-256 of the same without waits."""

    @property
    def waits(self) -> bool:
        """Whether there is anything to take out."""
        return self.was != self.quick

    def shown(self, *, quick: bool) -> dict[str, Any]:
        """Return what is set of it, as plans show it; all else is sent as it is."""
        return _waits(self.strategy, 0 if quick else self.bake_minutes, 0 if quick else self.step_minutes)

    def words(self, *, quick: bool) -> str:
        """Name what is set of it: ``bakeTimeInMinutes 15, canaryBakeTimeInMinutes 10``."""
        values = self.shown(quick=quick)
        step = next((part for part in values.values() if isinstance(part, dict)), {})
        return ", ".join(
            f"{name} {value}" for name, value in (values | step).items() if isinstance(value, int)
        )

    def without_waits(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration with its waits taken out."""
        return _set(configuration, 0, 0)

    def put_back(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration with its waits as they were."""
        return _set(configuration, self.bake_minutes, self.step_minutes)

    def quickened(self, shifting: Shifting) -> Shifting:
        """Return how a deployment shifts traffic without waits."""
        return shifting.model_copy(update={"bake_minutes": 0, "step_minutes": 0})


def read_settings(configuration: Mapping[str, Any]) -> QuickSettings:
    """Read the waits of a deployment configuration."""
    bake, step = _minutes(configuration)
    return QuickSettings(
        strategy=configuration.get("strategy", "ROLLING"),
        bake_minutes=bake,
        step_minutes=step,
        was=fingerprint(configuration),
        quick=fingerprint(_set(configuration, 0, 0)),
    )


def fingerprint(configuration: Mapping[str, Any]) -> str:
    """Return the hash that a configuration is known by; a wait that is not given counts as ECS's default."""
    whole = _set(configuration, *_minutes(configuration))
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()


def _minutes(configuration: Mapping[str, Any]) -> tuple[int, int]:
    part, name, default = _STEPS.get(configuration.get("strategy", "ROLLING"), ("", "", 0))
    return configuration.get("bakeTimeInMinutes", 0), configuration.get(part, {}).get(name, default)


def _set(configuration: Mapping[str, Any], bake: int, step: int) -> dict[str, Any]:
    waits = _waits(configuration.get("strategy", "ROLLING"), bake, step)
    merged = {
        name: {**configuration.get(name, {}), **value} if isinstance(value, dict) else value
        for name, value in waits.items()
    }
    return {**configuration, **merged}


def _waits(strategy: str, bake: int, step: int) -> dict[str, Any]:
    part, name, _ = _STEPS.get(strategy, ("", "", 0))
    steps = {part: {name: step}} if part else {}
    return {"strategy": strategy, "bakeTimeInMinutes": bake, **steps}
