"""How large a service is: its tasks and their limits, and what each task gives its containers."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_model import calls
from runbook_model.authority.order import ChangeOrder
from runbook_model.catalog.target import Target
from runbook_model.fact import Fact
from runbook_model.plans import PlannedCall
from runbook_model.releases.capacity import Capacity


class SizeQuery(Fact):
    """A task definition, and the one variable of its environment that is read along."""

    target: Target
    task_definition: str
    variable: str | None = None


class ContainerSize(Fact):
    """One container's own share and limit, where it has any."""

    name: str
    cpu: int | None = None
    memory: int | None = None
    """Its hard limit in MB, above which it is killed whatever the task has left."""
    setting: str | None = None
    """The variable's value; None where it has none, or has it from a secret."""
    is_secret: bool = False
    """Whether the variable's value comes from a secret."""


class TaskSize(Fact):
    """CPU and memory of a task, as its task definition says."""

    task_definition: str
    cpu: int | None = None
    """CPU units, 1024 to a core; None where only containers have shares."""
    memory: int | None = None
    """In MB."""
    fargate: bool = False
    """Whether only Fargate's own combinations of CPU and memory can be had."""
    containers: tuple[ContainerSize, ...] = ()

    @property
    def revision(self) -> str:
        """``family:revision``."""
        return self.task_definition.rpartition("/")[2]

    @property
    def summary(self) -> str:
        """What a person reads next to the step."""
        cpu = "no CPU of its own" if self.cpu is None else f"{self.cpu} CPU units"
        memory = "no memory of its own" if self.memory is None else f"{self.memory} MB"
        settings = {container.setting for container in self.containers if container.setting is not None}
        setting = f", pool size {', '.join(sorted(settings))}" if settings else ""
        return f"a task has {cpu} and {memory}{setting}"


class ScaleOut(ChangeOrder):
    """Raise a service to this many tasks."""

    was: Capacity
    """As it was when the plan was made."""
    to: int

    @property
    def call(self) -> PlannedCall:
        """The count, or the bounds."""
        return calls.scale(self.target, self.was.raised_to(self.to))

    @property
    def planned_essence(self) -> str:
        """The bounds of autoscaling."""
        return self.was.bounds


class ScaleOutRun(Fact):
    """A run that scaled a target out."""

    workflow_id: str
    run_id: str


class ScaledOut(Fact):
    """What ran before a scale-out, and what it set, as the histories of its runs have it."""

    was: Capacity
    ours: Capacity

    @classmethod
    def by(cls, changes: Iterable[ScaleOut]) -> ScaledOut | None:
        """Add up scale-outs in their order: what was before the first one stays, unless somebody else set it since."""
        found: ScaledOut | None = None
        for change in changes:
            on_ours = found is not None and change.was.setting == found.ours.setting
            was = found.was if found and on_ours else change.was
            found = cls(was=was, ours=change.was.raised_to(change.to))
        return found


class RestoreCapacity(ChangeOrder):
    """Put the capacity back as it was, where it still is as we made it."""

    runs: tuple[ScaleOutRun, ...]
    """The runs that scaled out, in their order."""
    found: ScaledOut | None = None
    """What their histories say; the worker fills it in, whatever is sent."""

    @property
    def call(self) -> PlannedCall:
        """The count or the bounds that were before."""
        back = self.found.was.taken_back(self.found.ours, self.target.scale.min) if self.found else None
        return calls.scale(self.target, back) if back else calls.update_service(self.target)
