"""The compose project of the environment ``local``: the service, twice, and its database."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import psutil

from sandbox.balancing.load_balancer import LoadBalancer
from sandbox.engine.container import Asking, BehindBalancer, Container, HealthCheck
from sandbox.engine.model import ContainerSpec
from sandbox.machine.forking import ForkServer
from sandbox.machine.processes import free_port
from sandbox.machine.tasks import Program, TaskSpec
from sandbox.names import CONTAINER, DATABASE_SERVICE, FIRST_VERSION, LOCAL, SERVICE
from sandbox.postgres.server import Postgres
from sandbox.tasks.scrape_targets import ScrapeTargets
from sandbox.tasks.utilization import Usage, usage_of

COPIES = 2
SAMPLE_INTERVAL_SECONDS = 1.0
LOOK_SECONDS = 0.02
START_TIMEOUT_SECONDS = 30.0
STOP_GRACE_SECONDS = 3.0
_MIB = 1024 * 1024


class Stack:
    """The containers of the project; they come and go, the project stays."""

    def __init__(self, service: ForkServer, targets: ScrapeTargets | None, postgres: Postgres | None) -> None:
        """Prepare it.

        Args:
            service: starts the processes of the demo service.
            targets: where Prometheus learns of the containers.
            postgres: who has the files of the database; None where there is none.
        """
        self.containers: list[Container] = []
        self.postgres = postgres
        self._service = service
        self._targets = targets
        self.balancer: LoadBalancer | None = None
        self._recreating = asyncio.Lock()

    @property
    def url(self) -> str:
        """Where the service answers, without trailing slash."""
        assert self.balancer is not None
        return self.balancer.url

    async def up(self) -> None:
        """Create and start all containers, the database first; returns once they are healthy.

        Raises:
            TimeoutError: they do not get there.
        """
        if self.postgres is not None:
            await self.postgres.files_made.wait()
            await self._start(self._database(self.postgres))
        specs = [self._copy(number) for number in range(1, COPIES + 1)]
        if self._targets is not None:
            for spec in specs:
                self._targets.add(spec.address, _task_spec(spec))
        await asyncio.gather(*(self._start(spec) for spec in specs))

    async def recreate(self, service: str, environment: Mapping[str, str], policy: str) -> None:
        """Put containers with another environment and policy in a service's place, as ``docker compose up -d`` does."""
        async with self._recreating:
            for old in self.of(service):
                await old.stop(STOP_GRACE_SECONDS)
                self.containers.remove(old)
                await self._create(replace(old.spec, environment=environment, policy=policy)).start()

    @property
    def services(self) -> list[str]:
        """The project's services."""
        return sorted({container.spec.service for container in self.containers})

    def of(self, service: str) -> list[Container]:
        """Return the containers of a service."""
        return [container for container in self.containers if container.spec.service == service]

    def find(self, name: str) -> Container | None:
        """Find a container by its name, its id, or the start of its id."""
        named = [container for container in self.containers if container.spec.name == name.removeprefix("/")]
        begins = [container for container in self.containers if name and container.id.startswith(name)]
        return next(iter(named or (begins if len(begins) == 1 else [])), None)

    def usages(self) -> Iterator[Usage]:
        """Read what the service's containers use, for Prometheus."""
        for container in self.of(SERVICE):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if container.state.pid:
                    yield usage_of(_task_spec(container.spec), psutil.Process(container.state.pid))

    async def run(self) -> None:
        """Hold the containers to their memory, until cancelled."""
        while True:
            for container in self.of(SERVICE):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    pid = container.state.pid
                    if pid and psutil.Process(pid).memory_info().rss > container.spec.memory * _MIB:
                        container.outgrew()
            await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)

    async def close(self) -> None:
        """End every container at once."""
        await asyncio.gather(*(container.kill() for container in self.containers))

    async def _start(self, spec: ContainerSpec) -> None:
        container = self._create(spec)
        await container.start()
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while container.health != "healthy":  # noqa: ASYNC110 - nobody would set an event for it
                await asyncio.sleep(LOOK_SECONDS)

    def _create(self, spec: ContainerSpec) -> Container:
        container = Container(spec, self._health_check(spec))
        self.containers.append(container)
        return container

    def _health_check(self, spec: ContainerSpec) -> HealthCheck:
        assert self.balancer is not None
        if spec.service == SERVICE:
            return BehindBalancer(self.balancer, spec.address)
        assert self.postgres is not None
        postgres = self.postgres
        return Asking(lambda: postgres.answers(LOCAL.name))

    def _copy(self, number: int) -> ContainerSpec:
        port = free_port()
        given = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PORT": str(port),
            "SERVICE_VERSION": FIRST_VERSION,
        }
        if self.postgres is not None:
            name = f"{LOCAL.project}-{SERVICE}-{number}"
            given |= {"AI_PROCESSOR_DSN": self.postgres.service_dsn(LOCAL.name), "PGAPPNAME": name}
        return ContainerSpec(
            service=SERVICE,
            number=number,
            image=f"{SERVICE}:{FIRST_VERSION}",
            program=Program(
                (sys.executable, "-P", "-m", "sandbox.demo.service"), given, forked_by=self._service
            ),
            address=f"127.0.0.1:{port}",
            needs=f"{DATABASE_SERVICE}:service_healthy:false" if self.postgres else "",
        )

    def _database(self, postgres: Postgres) -> ContainerSpec:
        return ContainerSpec(
            service=DATABASE_SERVICE,
            number=1,
            image=f"{DATABASE_SERVICE}:{postgres.version}",
            program=postgres.program(LOCAL.name),
            address=postgres.address(LOCAL.name),
        )


def _task_spec(spec: ContainerSpec) -> TaskSpec:
    """Tell Prometheus of a container as of a task; compose knows no releases but the image."""
    return TaskSpec(
        task_id=spec.name,
        cluster=LOCAL.project,
        service=spec.service,
        task_definition=spec.image,
        container=CONTAINER,
        image=spec.image,
        cpu=round(spec.cores * 1024),
        memory=spec.memory,
    )
