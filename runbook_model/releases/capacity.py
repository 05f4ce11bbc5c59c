"""How many tasks run, and how large each is to be."""

from __future__ import annotations

from runbook_model.fact import Fact


class TaskChange(Fact):
    """What tasks get instead; None stays as it is."""

    cpu: int | None = None
    memory: int | None = None
    variable: str | None = None
    value: str | None = None
    containers: tuple[str, ...] = ()
    """The containers whose variable it is."""

    @property
    def summary(self) -> str:
        """What tasks get, as text."""
        sizes = ((self.cpu, "CPU units"), (self.memory, "MB"))
        parts = [f"{size} {unit}" for size, unit in sizes if size is not None]
        if self.value is not None:
            parts.append(f"pool size {self.value}")
        return f"a task has {' and '.join(parts)}"


class Capacity(Fact):
    """How many tasks are wanted and run, and the bounds of autoscaling where it manages the service."""

    desired: int
    running: int
    minimum: int | None = None
    maximum: int | None = None
    deploying: str | None = None
    """How many tasks of each revision run, while a deployment shifts traffic between two."""

    @property
    def managed(self) -> bool:
        """Whether Application Auto Scaling manages the service."""
        return self.minimum is not None

    @property
    def setting(self) -> tuple[int | None, ...]:
        """What somebody set it to: autoscaling's bounds, else the count."""
        return (self.minimum, self.maximum) if self.managed else (self.desired,)

    def raised_to(self, count: int) -> Capacity:
        """Say what it is once at least so many tasks are wanted."""
        if self.maximum is None:
            return self.model_copy(update={"desired": count})
        return self.model_copy(update={"minimum": count, "maximum": max(count, self.maximum)})

    def taken_back(self, ours: Capacity, floor: int) -> Capacity:
        """Say what it is once extra tasks are removed: as before, and not below a minimum."""
        if self.minimum is None or self.maximum is None:
            return self.model_copy(update={"desired": max(self.desired, min(floor, ours.desired))})
        low = max(self.minimum, min(floor, ours.minimum or floor))
        high = max(self.maximum, min(floor, ours.maximum or floor))
        return self.model_copy(update={"minimum": low, "maximum": high})

    @property
    def bounds(self) -> str:
        """Autoscaling's bounds, as plans are bound to them."""
        return f"bounds {self.minimum}-{self.maximum}"

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        bounds = f", autoscaling between {self.minimum} and {self.maximum}" if self.managed else ""
        return f"{self.deploying or f'{self.running} of {self.desired} tasks run'}{bounds}"
