"""A small compose project next to the small outside world: containers that are restarted, and a database in one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity

from activities.docker.activities import standing
from activities.runtime.fence import Standing
from runbook_model.catalog.service_policies import Database
from runbook_model.catalog.target import Target
from runbook_model.containers import (
    AwaitedService,
    Container,
    ProjectRead,
    Restarted,
    RestartService,
    ServerAnswer,
    Settled,
    StatisticsRead,
    Use,
)
from runbook_model.errors import DriftedError
from runbook_model.measured.database import Connected, DatabaseRead
from runbook_model.measured.readings import Observation, Observed, Quality, Reading, Sample
from tests.procedures.stage.outside import STARTED, reading
from tests.procedures.stage.sick import Sick

MIB = 1024**2


def container(service: str, **more: object) -> Container:
    """A container that runs and has no health check, unless set."""
    fields = {"id": f"{service}-id", "name": f"shop-{service}-1", "image": f"{service}:1", "state": "running"}
    return Container(service=service, **{**fields, "started": STARTED, **more})


@dataclass
class OutsideCompose(Sick):
    """The service ``shop`` of a project with a database; the test turns its knobs."""

    database: Database | None = field(default_factory=lambda: Database(compose_service="postgres"))
    containers: dict[str, Container] = field(
        default_factory=lambda: {"shop": container("shop"), "postgres": container("postgres")}
    )
    answer: ServerAnswer = field(
        default_factory=lambda: ServerAnswer(accepts=True, used=3, limit=97, at=STARTED)
    )
    fixes: set[str] = field(default_factory=lambda: {"shop", "postgres"})
    """Services that run after a restart."""
    health: Quality | None = None
    """What ``/health`` says; None for what everything else says."""
    heals: bool = False
    """Whether ``/health`` is well after any restart."""
    serves_after: dict[str, ServerAnswer] = field(default_factory=dict)
    """Service -> what the database answers once it was restarted."""

    @property
    def target(self) -> Target:
        changes = {"platform": "compose", "compose_project": "shops", "compose_service": "shop"}
        return super().target.model_copy(
            update={**changes, "environment": "local", "database": self.database, "ecs_service": ""}
        )

    def becomes(self, service: str, **changes: object) -> None:
        """A container is another way from now on."""
        self.containers[service] = self.containers[service].model_copy(update=changes)

    def crashed(self, service: str, code: int = 1, **more: object) -> None:
        """A container ended by itself."""
        self.becomes(service, state="exited", exit_code=code, **more)

    @activity.defn
    async def read_project(self, target: Target) -> ProjectRead:
        await self._called("read_project")
        return ProjectRead(
            project=target.compose_project, service=target.compose_service, at=STARTED,
            containers=tuple(self.containers.values()),
        )  # fmt: skip

    @activity.defn
    async def read_statistics(self, _target: Target) -> StatisticsRead:
        await self._called("read_statistics")
        use = Use(name="shop", cores=0.1, cores_limit=1, memory=20 * MIB, memory_limit=100 * MIB)
        return StatisticsRead(uses=(use,), at=STARTED)

    @activity.defn
    async def read_server(self, _target: Target) -> ServerAnswer:
        await self._called("read_server")
        return self.answer

    @activity.defn
    async def read_database(self, _target: Target) -> DatabaseRead:
        await self._called("read_database")
        standing = "serves" if self.answer.accepts else "down"
        used = self.answer.used or 0
        return DatabaseRead(
            standing=standing, why="refused", limit=97, used=used, database="shop", at=STARTED
        )

    @activity.defn
    async def test_connection(self, _target: Target) -> Connected:  # noqa: PT019 - an activity, not a test
        await self._called("test_connection")
        used = self.answer.used or 0
        return Connected(ok=bool(self.answer.accepts), full=0.8, used=used, open_to_services=97, at=STARTED)

    @activity.defn
    async def restart_service(self, change: RestartService) -> Restarted:
        await self._called("restart_service")
        now = self.containers[change.service]
        again = activity.info().attempt > 1
        stands = standing(change.fence[0], now if now.id == change.fence[0].id else None, may_be_ours=again)
        if stands is Standing.DRIFTED:
            error = DriftedError("somebody else restarted it")
            error.certainly_not_made = not again
            raise error.to_application_error()
        if stands is Standing.UNCHANGED:
            started = (now.started or STARTED) + timedelta(minutes=1)
            well = change.service in self.fixes
            after = {"state": "running" if well else "exited", "exit_code": 0 if well else 1, "health": ""}
            self.becomes(change.service, started=started, restarts=0, **after)
            self.answer = self.serves_after.get(change.service, self.answer)
            self.health = None if self.heals else self.health
            self._changed("restart_service", f"restart {change.service}")
        return Restarted(containers=(self.containers[change.service],), at=STARTED)

    @activity.defn
    async def await_service(self, awaited: AwaitedService) -> Settled:
        await self._called("await_service")
        now = self.containers[awaited.service]
        return Settled(ok=now.serves, detail=now.summary, at=awaited.deadline)

    @activity.defn
    async def measure(self, observation: Observation) -> Sample:
        await self._called("measure")
        return Sample(at=observation.since, readings=self._readings(observation.since))

    @activity.defn
    async def observe(self, observation: Observation) -> Observed:
        await self._called("observe")
        self.observations.append(observation)
        moments = [observation.since + timedelta(seconds=2 * n) for n in range(11)]
        samples = tuple(Sample(at=at, readings=self._readings(at)) for at in moments)
        return Observed(samples=samples, since=moments[0], until=moments[-1])

    def _readings(self, at) -> tuple[Reading, ...]:
        health = reading(self.health or self.quality, at=at, kind="health")
        return health, reading(self.quality, at=at)

    @property
    def activities(self) -> list[object]:
        own = {
            name: getattr(self, name)
            for name, thing in vars(OutsideCompose).items()
            if hasattr(thing, "__temporal_activity_definition")
        }
        inherited = [item for item in super().activities if item.__name__ not in own]
        return [*inherited, *own.values()]
