"""Services of a compose project on one machine: containers are looked at and restarted; the rest is a person's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from temporalio import workflow

from activities.docker.activities import ComposeActivities, ComposeChanges
from activities.docker.postgres import PostgresContainer
from activities.postgres.activities import DatabaseActivities
from runbook_model.catalog.service_policies import Database
from runbook_model.containers import AwaitedService, ProjectRead, Restarted, RestartService, Settled
from runbook_model.measured.evidence import Statistics
from runbook_model.measured.readings import Sample
from runbook_model.measured.symptoms import LogsRead, UtilizationRead
from runbook_model.releases.release import Release
from runbook_model.reports import Ending, Outcome, Undone
from workflows.decisions import database
from workflows.decisions.database import DatabaseSigns, classify, signs_from
from workflows.decisions.diagnosis import Diagnosis
from workflows.decisions.local import (
    NO_ROLLBACK,
    NO_SCALING,
    RestartContainersPlan,
    ServiceRestart,
    classify_local_outage,
    classify_server,
    down_dependencies,
    plan_restart_of,
    release_of,
    with_dependencies,
)
from workflows.decisions.rollback.releases import refused
from workflows.page.options import CHANGE, READ, ActivityOptions
from workflows.platforms.platform import Outage, Platform, Running, Surroundings

# An engine that is not there is said at once: it is on this machine, and whoever asked can start it.
LOOK = ActivityOptions(**{**READ, "schedule_to_close_timeout": timedelta(seconds=20)})
# Longer than the client waits for a restart, twice: a repeat first waits until the one before it has landed.
RESTART = ActivityOptions(**{**CHANGE, "start_to_close_timeout": timedelta(seconds=45)})


class Compose(Platform):
    """A service of a compose project."""

    no_rollback = NO_ROLLBACK
    no_scaling = NO_SCALING
    one_machine = True

    async def look(self) -> ProjectRead:
        """Read the containers of the target's project."""
        words = f"Look at the containers of {self.target.compose_project or self.target.environment}"
        return await self.page.read(words, ComposeActivities.read_project, self.target, options=LOOK)

    async def read_running(self, words: str) -> Running:  # noqa: ARG002 - one look shows all of it
        """Read what runs."""
        project = await self.look()
        names = (project.service, *down_dependencies(self.target, project))
        return Running(release_of(project), names)

    async def look_at_outage(self) -> Outage:
        """Look at the containers, and what they use."""
        project = await self.look()
        uses = await self.page.read(
            "Read what its containers use", ComposeActivities.read_statistics, self.target
        )

        def name_cause(logs: LogsRead, sample: Sample) -> Diagnosis:
            found = classify_local_outage(self.target, project, logs, sample)
            return found.citing(project.summary, uses.summary, logs.summary, *logs.newest[-3:])

        return Outage(release_of(project), name_cause)

    async def look_around(self) -> Surroundings:
        """Look at the containers of the project."""
        project = await self.look()
        return Surroundings((project.summary,), partial(with_dependencies, self.target, project))

    async def read_utilization(self) -> UtilizationRead:
        """Return nothing: the engine keeps no statistics of the past."""
        nothing = Statistics(
            quality="no-data",
            why="compose has no CloudWatch",
            source="cloudwatch",
            query="",
            at=workflow.now(),
        )
        return UtilizationRead(cpu=nothing, memory=nothing)

    async def read_database_signs(self, policy: Database) -> DatabaseSigns:
        """Look whether the service's database is in trouble."""
        return signs_from(await self.diagnose_database(policy))

    async def diagnose_database(self, policy: Database) -> database.Diagnosis:
        """Ask whether it accepts connections and who holds them: over its DSN, else in its container by its own tools."""
        if policy.dsn_env:
            words = "Read who holds its connections and who waits"
            return classify(
                await self.page.read(words, DatabaseActivities.read_database, self.target), policy
            )
        words = "Ask in its container whether it is ready, and count its connections"
        answer = await self.page.read(words, PostgresContainer.read_server, self.target)
        return classify_server(answer, policy)

    async def connect_to_database(self) -> tuple[bool, str]:
        """Connect again, over its DSN or in its container."""
        policy = self.target.database
        if policy is None or policy.dsn_env:
            return await super().connect_to_database()
        answer = await self.page.read("Connect to the database", PostgresContainer.read_server, self.target)
        return answer.share is not None and answer.share < policy.full, answer.summary

    async def plan_restart(
        self, services: Sequence[str], because: tuple[str, ...]
    ) -> RestartContainersPlan | Ending:
        """Plan to restart services, what others depend on first."""
        plan = plan_restart_of(self.target, await self.look(), services, because)
        gone = f"{' or '.join(services)} has no container any more"
        return plan or refused("input", gone, "docker compose up -d creates them again")

    async def release_of(self, plan: RestartContainersPlan) -> Release:  # noqa: ARG002
        """Return what runs, as far as compose distinguishes releases."""
        return release_of(await self.look())

    async def restart(self, plan: RestartContainersPlan) -> Restarted:
        """Restart the first service of a plan."""
        return await self._restart_service(plan.restarts[0])

    async def await_restarted(self, plan: RestartContainersPlan, made: Restarted) -> datetime | Ending:
        """Wait until all of them run, and restart those that did not come back with the first; all have to come up."""
        first, *others = plan.restarts
        settled = await self._await_up(first, made)
        for service in others:
            if not settled.ok:
                break
            now = await self.look()
            if not all(container.serves for container in now.of(service.service)):
                settled = await self._await_up(service, await self._restart_service(service))
        if settled.ok:
            return settled.at
        summary = f"Not recovered: {settled.detail.rstrip('.')}. A person must check now."
        return Ending(outcome=Outcome.NOT_RECOVERED, summary=summary)

    async def _restart_service(self, service: ServiceRestart) -> Restarted:
        """Restart the containers of one service, each once."""
        return await self.page.change(
            f"Restart {service.service}",
            ComposeChanges.restart_service,
            RestartService(
                target=self.target, service=service.service, fence=service.fences, names=service.names
            ),
            action="docker restart",
            before=service.summary,
            after=f"{service.service} restarted",
            undo=_nothing_to_put_back,
            options=RESTART,
        )

    async def _await_up(self, service: ServiceRestart, restarted: Restarted) -> Settled:
        """Wait until what was restarted runs and is healthy, or is known not to get there."""
        awaited = AwaitedService(
            target=self.target,
            service=service.service,
            containers=tuple(container.fence for container in restarted.containers),
            deadline=workflow.now() + self.target.rollback.steady,
        )
        words = f"Wait until {service.service} runs and is healthy"
        return await self.page.watch(words, ComposeActivities.await_service, awaited)


async def _nothing_to_put_back() -> Undone:
    return Undone(detail="nothing to undo: the same containers run")
