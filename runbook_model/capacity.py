"""How many tasks a service runs, and what Application Auto Scaling allows it."""

from __future__ import annotations

from runbook_model.fact import Fact


class Capacity(Fact):
    """How many tasks are wanted and run, and the bounds of autoscaling where it manages the service."""

    desired: int
    running: int
    minimum: int | None = None
    maximum: int | None = None

    @property
    def managed(self) -> bool:
        """Whether Application Auto Scaling manages the service."""
        return self.minimum is not None

    @property
    def setting(self) -> tuple[int | None, ...]:
        """What somebody set it to: autoscaling's bounds, else the count."""
        return (self.minimum, self.maximum) if self.managed else (self.desired,)

    def raised_to(self, count: int) -> Capacity:
        """Tell what it is once at least so many tasks are wanted."""
        if self.maximum is None:
            return self.model_copy(update={"desired": count})
        return self.model_copy(update={"minimum": count, "maximum": max(count, self.maximum)})

    @property
    def told(self) -> str:
        """What a person reads beside the step."""
        bounds = f", autoscaling between {self.minimum} and {self.maximum}" if self.managed else ""
        return f"{self.running} of {self.desired} tasks run{bounds}"
