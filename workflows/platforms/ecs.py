"""Services on Amazon ECS, as far as pages share what is done with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from activities.ecs.activities import EcsActivities
from activities.measuring.diagnosis import DiagnosisActivities
from activities.postgres.activities import DatabaseActivities
from runbook_model.catalog.service_policies import Database
from runbook_model.measured.readings import Sample
from runbook_model.measured.symptoms import LogsRead, UtilizationRead
from runbook_model.releases.release import Release
from runbook_model.releases.rollout import Phase, Rollout
from runbook_model.reports import Ending
from workflows.decisions.database import DatabaseSigns, signs_of
from workflows.decisions.diagnosis import Diagnosis, classify_service_down
from workflows.decisions.scaling import RestartPlan, plan_restart
from workflows.platforms.deployment import await_steady, force_deployment, hand_over, unless_replaced
from workflows.platforms.platform import Outage, Platform, Running, Surroundings
from workflows.platforms.shifting import await_traffic
from workflows.platforms.whole_deployment import follow, restart_whole

if TYPE_CHECKING:
    from activities.ecs.orders import Deployed


class Ecs(Platform):
    """A service on ECS."""

    _arrived: Rollout | None = None
    """How a restart of this run has arrived."""

    async def read_running(self, words: str) -> Running:
        """Read what runs."""
        history = await self.page.read(words, EcsActivities.read_history, self.target)
        return Running(history.current)

    async def look_at_outage(self) -> Outage:
        """Look at what should be running, and why it is not."""
        running = await self.read_running("Read what runs and what ran before")
        tasks = await self.page.read(
            "Read the tasks and why they stopped", DiagnosisActivities.read_tasks, self.target
        )

        def name_cause(logs: LogsRead, sample: Sample) -> Diagnosis:
            found = classify_service_down(self.target, tasks, logs, sample)
            return found.citing(tasks.summary, logs.summary, *logs.newest[-3:])

        return Outage(running.release, name_cause)

    async def look_around(self) -> Surroundings:
        """ECS knows nothing of what a service depends on."""
        return Surroundings()

    async def read_utilization(self) -> UtilizationRead:
        """Read what CloudWatch measured of CPU and memory."""
        words = "Read what CloudWatch says"
        return await self.page.read(words, DiagnosisActivities.read_utilization, self.target)

    async def read_database_signs(self, policy: Database) -> DatabaseSigns:
        """Look whether the service's database is in trouble; a decision can do without."""
        words = "Read who works in the database, and who waits"
        read = await self.page.try_read(words, DatabaseActivities.read_database, self.target)
        return signs_of(read, policy)

    async def plan_restart(
        self,
        services: Sequence[str],  # noqa: ARG002 - it is the whole service
        because: tuple[str, ...],
    ) -> RestartPlan | Ending:
        """Plan a forced deployment of what runs."""
        words = "Read what runs and what ran before"
        history = await self.page.read(words, EcsActivities.read_history, self.target)
        return plan_restart(self.target, history, because)

    async def release_of(self, plan: RestartPlan) -> Release:
        """Return the release that runs."""
        return plan.before

    async def restart(self, plan: RestartPlan) -> Deployed:
        """Force a new deployment."""
        if plan.shifting:
            return await restart_whole(self.run, plan)
        return await force_deployment(self.run, plan.before, plan.fence)

    async def await_restarted(self, plan: RestartPlan, made: Deployed) -> datetime | Ending:
        """Wait until only fresh tasks run, or have all traffic."""
        if plan.shifting:
            rollout = await await_traffic(self.run, plan, made)
        else:
            rollout = await await_steady(self.run, "Wait until only fresh tasks run", made)
        self._arrived = rollout
        return rollout.at if rollout.phase is Phase.STEADY else await hand_over(self.run, rollout)

    async def unless_replaced(self, plan: RestartPlan, made: Deployed, ending: Ending) -> Ending:
        """Look once more that what was verified still runs, to the end of a deployment that shifts traffic."""
        if plan.shifting:
            return await follow(self.run, plan, made, self._arrived, ending)
        return await unless_replaced(self.run, plan.before, ending)
