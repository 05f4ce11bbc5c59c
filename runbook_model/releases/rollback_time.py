"""How long a rollback takes of a service whose deployments shift traffic, by its own configuration. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from runbook_model.fact import Fact
from runbook_model.releases.shifting import Shifting
from runbook_model.text.durations import format_duration


class RollbackTime(Fact):
    """Would a rollback work tonight, and how long would it take; in minutes."""

    strategy: str
    in_flight_hooks: int = 0
    """Of what is under way: what hooks may add to the seconds of a stop."""
    finished: int
    """Of what has finished, at the longest: its waits, hooks, and the start of its tasks."""
    waits: int
    """Steps, bake time, and what a Network Load Balancer adds."""
    hooks: int = 0
    """The longest that hooks may add."""
    tasks_start: int
    """The longest that tasks may need to start, by the catalog's ``steady``."""
    pauses: tuple[str, ...] = ()
    """Stages at which it waits until a person continues it."""

    @property
    def summary(self) -> str:
        """Say it in one line: ``in flight within seconds, by a stop; finished within 54m of steps and bake time, …``."""
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        held = (
            f", unless Lambda hooks hold it up (up to {_said(self.in_flight_hooks)})"
            if self.in_flight_hooks
            else ""
        )
        yield f"in flight within seconds, by a stop{held}"
        hooks = f", up to {_said(self.hooks)} of hooks" if self.hooks else ""
        yield (
            f"finished within {_said(self.waits)} of steps and bake time{hooks}, and the time that tasks need to "
            f"start ({_said(self.tasks_start)} at most)"
        )
        if self.pauses:
            yield f"it waits for a person at {', '.join(self.pauses)}"


def time_of_rollback(shifting: Shifting, steady: timedelta) -> RollbackTime:
    """Compute how long a rollback takes; ``steady`` is how long the catalog lets tasks start."""
    return RollbackTime(
        strategy=shifting.strategy,
        in_flight_hooks=_minutes(shifting.hooks_on_the_way_back),
        finished=_minutes(shifting.longest + steady),
        waits=_minutes(shifting.waits),
        hooks=_minutes(shifting.hooks_take),
        tasks_start=_minutes(steady),
        pauses=shifting.pauses,
    )


def _minutes(duration: timedelta) -> int:
    return -int(-duration.total_seconds() // 60)


def _said(minutes: int) -> str:
    return format_duration(timedelta(minutes=minutes))
