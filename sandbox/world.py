"""Composes the world: starts all its parts at the same time, knows their addresses, and ends them in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.aws.autoscaling import SimulatedAutoscaling
from sandbox.aws.endpoint import aws_endpoint
from sandbox.aws.moto import MotoServer
from sandbox.aws_clients import aws_environment
from sandbox.balancing.everyday_load import REQUESTS_PER_SECOND, Load
from sandbox.call_log import CallLog
from sandbox.catalog import catalog_text, dsn_variable
from sandbox.control import alertmanager_routes, control_routes, image_routes
from sandbox.demo.delivery import release_first
from sandbox.ecs import SimulatedEcs
from sandbox.engine.engine import Engine
from sandbox.machine.forking import ForkServer
from sandbox.machine.http_server import serving
from sandbox.machine.processes import free_port
from sandbox.monitoring.alerting import Alerting
from sandbox.monitoring.alertmanager import Webhook
from sandbox.monitoring.prometheus import Prometheus, Watched, find_prometheus
from sandbox.names import (
    ACCOUNT,
    BLUE_GREEN,
    BLUE_GREEN_ENVIRONMENTS,
    ECS_ENVIRONMENTS,
    LOCAL,
    REGION,
    EcsEnvironment,
)
from sandbox.postgres.files import find_postgres
from sandbox.postgres.server import Postgres, service_dsns
from sandbox.tasks.runner import ProcessRunner
from sandbox.tasks.scrape_targets import CONTAINERS_PATH, ScrapeTargets, container_route
from sandbox.temporal import TemporalServer

if TYPE_CHECKING:
    from starlette.routing import Route

CANCEL_AGAIN_SECONDS = 2.0
"""A cancellation is lost when what was waited for comes at the same moment (``wait_for`` before Python 3.12)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wishes:
    """What the world is to have besides its essentials."""

    load: bool = True
    prometheus: bool = True
    scraped: bool = False
    """Start only once Prometheus has seen every environment: it scrapes for the first time 5 s after its own start."""
    webhook: Webhook | None = None
    """Who gets the alerts of an Alertmanager; without one nobody is warned."""
    codec: str | None = None
    """Where Temporal's UI has payloads decrypted."""
    signers: tuple[str, ...] = ()
    """Who signs decisions in prod; nobody where none are signed."""
    strategies: bool = False
    """Also a service whose deployments shift traffic."""


class World:
    """Everything that the sandbox runs, in one folder."""

    def __init__(self, folder: Path, wishes: Wishes) -> None:
        self._folder = folder
        self._wishes = wishes
        self._temporal = TemporalServer(folder, wishes.codec)
        self._moto = MotoServer(folder)
        program = find_prometheus() if wishes.prometheus else None
        targets = ScrapeTargets(folder / "targets.json") if program else None
        self._aws_port = free_port()
        self._aws = f"http://127.0.0.1:{self._aws_port}"
        programs = find_postgres()
        self._postgres = Postgres(programs, folder, ECS_ENVIRONMENTS, (LOCAL.name,)) if programs else None
        self._log = CallLog()
        if self._postgres is not None:
            self._log.read_before_each(self._postgres.changes)
        self._alerting = Alerting(folder, wishes.webhook, self._log) if wishes.webhook else None
        if self._alerting is not None and targets is None:
            raise RuntimeError(
                "no Prometheus that could warn anybody: install the Debian package `prometheus`"
            )
        self._prometheus = (
            Prometheus(folder, program, self._watched(targets)) if program and targets else None
        )
        self._service = ForkServer("sandbox.demo.service")
        self._runner = ProcessRunner(self._service, targets, service_dsns(self._postgres))
        self._engine = Engine(self._service, targets, self._postgres, self._log)
        self._ecs = SimulatedEcs(self._runner, region=REGION, account=ACCOUNT, log=_log.info)
        self._rate = REQUESTS_PER_SECOND if wishes.load else 0.0
        self._loads: dict[str, Load] = {}
        self._urls: dict[str, str] = {}
        self._blue_green_urls: dict[str, str] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._open = AsyncExitStack()

    async def start(self, announce: Callable[[], None] | None = None) -> None:
        """Start all parts; when this returns, the first release runs in every environment.

        Args:
            announce: called once Temporal answers and all addresses are known.

        Raises:
            DaemonDiedError, TimeoutError: a part did not get ready.
        """
        self._loads[LOCAL.name] = await self._engine.open(self._runner, self._rate)
        await self._open_load_balancers()
        self._write_catalog()
        starting = [
            self._start_temporal(announce),
            self._start_moto(),
            self._start_ecs(),
            self._start_local(),
        ]
        if self._prometheus is not None:
            starting.append(self._start_prometheus(self._prometheus))
        if self._postgres is not None:
            starting.append(self._postgres.start())
        else:
            _log.warning("no database: PostgreSQL is not installed (Debian package `postgresql`)")
        await asyncio.gather(*starting)
        if self._wishes.scraped:
            await self._look_on()
        if self._alerting is not None:
            await self._alerting.start()

    async def end(self) -> None:
        """End all parts; those that never started are ended already."""
        await asyncio.gather(self._temporal.end(), self._end_rest())

    async def run(self) -> None:
        """Run until a part that has to run for ever ends, and raise what ended it."""
        done, _ = await asyncio.wait(self._background, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
        raise RuntimeError("a part of the sandbox ended by itself")

    def addresses(self) -> dict[str, Any]:
        """Return what ``up --json`` prints."""
        return {
            "temporal": self._temporal.address,
            "ui": self._temporal.ui,
            "aws": self._aws,
            "service": self._urls,
            **({"services": {BLUE_GREEN: self._blue_green_urls}} if self._blue_green_urls else {}),
            "prometheus": self._prometheus.url if self._prometheus is not None else None,
            "catalog": str(self._catalog),
            "folder": str(self._folder),
            **(self._alerting.addresses if self._alerting else {}),
            "env": self._environment(),
        }

    @property
    def _catalog(self) -> Path:
        return self._folder / "catalog.toml"

    def _environment(self) -> dict[str, str]:
        """Return what another shell has to export."""
        postgres = self._postgres
        return {
            "TEMPORAL_ADDRESS": self._temporal.address,
            "TEMPORAL_NAMESPACE": "default",
            "RUNBOOK_CATALOG": str(self._catalog),
            "RUNBOOK_REVIEWS": str(self._folder / "reviews"),
            **aws_environment(self._aws),
            **self._engine.environment,
            **(
                {dsn_variable(name): postgres.operator_dsn(name) for name in ECS_ENVIRONMENTS}
                if postgres
                else {}
            ),
            **(self._alerting.environment if self._alerting else {}),
        }

    def _watched(self, targets: ScrapeTargets) -> Watched:
        exporters = f"127.0.0.1:{self._aws_port}"
        jobs = {"containers": CONTAINERS_PATH, **(self._alerting.jobs if self._alerting else {})}
        alertmanager = self._alerting.alertmanager.address if self._alerting else None
        return Watched(targets.file, exporters, jobs, alertmanager)

    def _write_catalog(self) -> None:
        self._catalog.write_text(
            catalog_text(
                self._urls,
                self._prometheus.url if self._prometheus else None,
                local_url=self._engine.stack.url,
                databases=self._postgres is not None,
                alerts=self._alerting is not None,
                signers=self._wishes.signers,
                blue_green_urls=self._blue_green_urls,
            )
        )

    async def _start_temporal(self, announce: Callable[[], None] | None) -> None:
        await self._temporal.start()
        if announce is None:
            return
        if self._postgres is not None:
            await self._postgres.files_made.wait()  # a DSN holds the password that is in them
        announce()

    async def _start_prometheus(self, prometheus: Prometheus) -> None:
        await prometheus.start()
        self._keep(prometheus.watch())

    async def _look_on(self) -> None:
        """Wait until Prometheus has seen each environment, so that whoever asks at once is answered."""
        metric = "http_requests_total" if self._rate else "up"
        environments = (*ECS_ENVIRONMENTS, LOCAL.name)
        if self._prometheus is not None and not await self._prometheus.has_seen(environments, metric):
            _log.warning("Prometheus has not seen every environment yet")

    async def _start_moto(self) -> None:
        await self._moto.start()
        self._keep(self._moto.watch())
        self._keep(self._runner.logs.run(self._moto.url))
        self._keep(self._runner.utilization.run(self._moto.url))

    async def _start_local(self) -> None:
        await self._engine.stack.up()
        self._keep(self._loads[LOCAL.name].run())
        self._keep(self._engine.stack.run())

    async def _open_load_balancers(self) -> None:
        for environment in self._environments:
            balancer = await self._runner.open_load_balancer(environment.cluster, environment.ecs_service)
            urls = self._blue_green_urls if environment.variant else self._urls
            urls[environment.name] = balancer.url
            name = f"{environment.name}/{environment.variant}" if environment.variant else environment.name
            load = self._loads[name] = Load(balancer.address, self._rate)
            self._keep(self._send(load))

    @property
    def _environments(self) -> list[EcsEnvironment]:
        """Everything that is released to."""
        more = BLUE_GREEN_ENVIRONMENTS.values() if self._wishes.strategies else ()
        return [*ECS_ENVIRONMENTS.values(), *more]

    async def _start_ecs(self) -> None:
        autoscaling = SimulatedAutoscaling(self._ecs)
        balancers = self._runner.load_balancers
        application = aws_endpoint(self._ecs, autoscaling, self._moto.url, balancers, self._log)
        application.router.routes[:0] = [
            *(self._alerting_routes(self._alerting) if self._alerting else ()),
            *control_routes(self._loads, self._runner.load_balancers, self._temporal, self._postgres),
            *self._engine.routes,
            *image_routes(self._runner.images),
            container_route(lambda: [*self._runner.utilization.usages(), *self._engine.stack.usages()]),
        ]
        await self._open.enter_async_context(serving(application, self._aws_port))
        self._keep(self._ecs.run())
        firsts = (asyncio.to_thread(release_first, self._aws, item) for item in self._environments)
        await asyncio.gather(*firsts)

    async def _send(self, load: Load) -> None:
        """Send an environment its load, once its database is there: or the first requests would fail."""
        if self._postgres is not None:
            await self._postgres.ready.wait()
        await load.run()

    def _alerting_routes(self, alerting: Alerting) -> list[Route]:
        urls = {**self._urls, LOCAL.name: self._engine.stack.url}
        services = {name: url.removeprefix("http://") for name, url in urls.items()}
        metrics = (
            alerting.routes(services, ECS_ENVIRONMENTS, self._postgres.operator_dsn)
            if self._postgres
            else alerting.routes(services, (), str)
        )
        return [*metrics, *alertmanager_routes(alerting.alertmanager)]

    async def _end_rest(self) -> None:
        while running := [task for task in self._background if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
        if self._alerting is not None:
            await self._alerting.end()
        await self._engine.close()
        await self._runner.close()
        self._service.end()
        await self._open.aclose()
        for part in (self._moto, self._prometheus, self._postgres):
            if part is not None:
                await part.end()

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        self._background.add(asyncio.create_task(work))
