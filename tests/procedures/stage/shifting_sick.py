"""A sick service whose deployments shift traffic: its tasks crash, or are too small, and whole deployments put that right."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity

from activities.ecs.orders import Deployed, ForceDeployment
from runbook_model.measured.symptoms import ResourcesRead, TasksRead
from tests.procedures.stage.shifting_outside import STRATEGIES, ShiftingOutside
from tests.procedures.stage.sick import Sick
from tests.procedures.stage.sizes import SizedOutside
from tests.symptoms import a_stopped_task, an_onset, resources_read, tasks_read


def _crashing() -> TasksRead:
    crashes = (a_stopped_task(200), a_stopped_task(100))
    tasks = tasks_read(*crashes)
    return tasks.model_copy(update={"onset": an_onset(began=tasks.at - timedelta(days=1))})


@dataclass
class ShiftingSick(ShiftingOutside, SizedOutside, Sick):
    """Tasks of release 2 crash, and are killed at their memory limit."""

    tasks: TasksRead = field(default_factory=_crashing)
    resources: ResourcesRead = field(default_factory=lambda: resources_read(memory=0.97, killed=3))

    @activity.defn
    async def force_deployment(self, change: ForceDeployment) -> Deployed:
        await self._called("force_deployment")
        if activity.info().attempt > 1 and change.fence != self.service.fence:
            return self._deployed(adopted=True)
        self._fenced(change.fence)
        self.deploys(self.current)
        self._changed("force_deployment", "force")
        return self._deployed()


def sick(strategy: str, **more: object) -> ShiftingSick:
    """A service on release 2 that ran on release 1 before."""
    return ShiftingSick(configuration={**STRATEGIES[strategy], **more})
