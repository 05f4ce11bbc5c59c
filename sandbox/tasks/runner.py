"""Runs tasks as processes of the demo service, behind load balancers, with logs and measurements shipped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.aws_clients import logs_client
from sandbox.balancing.load_balancer import LoadBalancer, Target
from sandbox.machine.forking import ForkedProcess, ForkServer
from sandbox.machine.processes import end_child, free_port, signal_child
from sandbox.machine.tasks import ImageRegistry, TaskSpec
from sandbox.tasks.scrape_targets import ScrapeTargets
from sandbox.tasks.utilization import Utilization

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

SHIP_INTERVAL_SECONDS = 1.0

MAX_BATCH_EVENTS = 1_000

_log = logging.getLogger(__name__)


class TaskLogs:
    """Lines wait here until the next batch; they also wait for CloudWatch Logs to be there at all."""

    def __init__(self) -> None:
        self._waiting: defaultdict[tuple[str, str], list[InputLogEventTypeDef]] = defaultdict(list)
        self._groups: set[str] = set()
        self._streams: set[tuple[str, str]] = set()

    def add(self, group: str, stream: str, line: str) -> None:
        """Take one line of a task's output, with the time it came."""
        self._waiting[group, stream].append({"timestamp": int(time.time() * 1000), "message": line})

    async def run(self, endpoint_url: str) -> None:
        """Ship what waits, every second, until cancelled."""
        client = await asyncio.to_thread(logs_client, endpoint_url)
        while True:
            await asyncio.to_thread(self._ship, client)
            await asyncio.sleep(SHIP_INTERVAL_SECONDS)

    def _ship(self, client: CloudWatchLogsClient) -> None:
        for group, stream in list(self._waiting):
            events = self._waiting.pop((group, stream))
            try:
                self._make(client, group, stream)
                for first in range(0, len(events), MAX_BATCH_EVENTS):
                    client.put_log_events(
                        logGroupName=group,
                        logStreamName=stream,
                        logEvents=events[first : first + MAX_BATCH_EVENTS],
                    )
            except (BotoCoreError, ClientError) as failed:
                _log.warning("%d lines of %s did not reach %s: %s", len(events), stream, group, failed)

    def _make(self, client: CloudWatchLogsClient, group: str, stream: str) -> None:
        """Create the group and the stream on their first line."""
        if group not in self._groups:
            try:
                client.create_log_group(logGroupName=group)
            except client.exceptions.ResourceAlreadyExistsException:
                _log.debug("log group %s was there before", group)
            self._groups.add(group)
        if (group, stream) not in self._streams:
            client.create_log_stream(logGroupName=group, logStreamName=stream)
            self._streams.add((group, stream))


STOP_GRACE_SECONDS = 3.0
"""From SIGTERM to SIGKILL; ECS gives 30 s, which the demo service never needs."""


class ProcessTask:
    """A task whose process was started (``RunningTask``)."""

    def __init__(self, spec: TaskSpec, port: int, process: ForkedProcess, runner: ProcessRunner) -> None:
        self.spec = spec
        self.address = f"127.0.0.1:{port}"
        self._process = process
        self._runner = runner
        self._balancer = runner.load_balancer(spec.cluster, spec.service)
        self._target: Target = self._balancer.add(self.address, spec.target_group)
        self._life = asyncio.create_task(self._live())

    @property
    def exit_code(self) -> int | None:
        """None while the process lives; the negative signal number when a signal ended it."""
        return self._process.returncode

    @property
    def healthy(self) -> bool | None:
        """What the load balancer's health check last said; None before the first answer."""
        return self._target.healthy

    async def stop(self) -> None:
        """Take the task out of the load balancer, SIGTERM, and SIGKILL when it does not listen."""
        await self._balancer.remove(self._target)
        await end_child(self._process, STOP_GRACE_SECONDS)
        await self._life

    async def kill(self) -> None:
        """End the process at once, when nobody is left who could miss it."""
        signal_child(self._process, signal.SIGKILL)
        await self._life

    async def _live(self) -> None:
        """Follow the process to its end, then clear up what points to it."""
        if self._runner.targets is not None:
            self._runner.targets.add(self.address, self.spec)
        await self._follow_output()
        await self._process.wait()
        if self._runner.targets is not None:
            self._runner.targets.remove(self.address)
        self._target.healthy = False
        await self._balancer.remove(self._target)
        self._runner.tasks.discard(self)

    async def _follow_output(self) -> None:
        assert self._process.stdout is not None
        stream = f"{self.spec.container}/{self.spec.container}/{self.spec.task_id}"
        async for line in self._process.stdout:
            if self.spec.log_group is not None:
                self._runner.logs.add(self.spec.log_group, stream, line.decode(errors="replace").rstrip())


class ProcessRunner:
    """Starts tasks (``TaskRunner``) and keeps a load balancer for every service that ever had one."""

    def __init__(
        self, service: ForkServer, targets: ScrapeTargets | None, dsns: Mapping[str, str] | None = None
    ) -> None:
        """Run tasks.

        Args:
            service: starts the processes of the demo service.
            targets: where Prometheus learns of them.
            dsns: the database of each cluster's services.
        """
        self.targets = targets
        self._service = service
        self._dsns = dsns or {}
        self.logs = TaskLogs()
        self.utilization = Utilization()
        self.tasks: set[ProcessTask] = set()
        self.images = ImageRegistry()
        self.load_balancers: dict[tuple[str, str], LoadBalancer] = {}

    def digest_of(self, image: str) -> str:
        """Return the digest that an image's name stands for now."""
        return self.images.digest_of(image)

    async def start(self, spec: TaskSpec) -> ProcessTask:
        """Start the process and put it behind the service's load balancer.

        Raises:
            ImageNotFoundError: the image cannot be pulled.
        """
        version = self.images.pull(spec.image, spec.digest)
        await self.open_load_balancer(spec.cluster, spec.service)
        port = free_port()
        environment = self._database(spec) | spec.environment | _process_environment(port, version)
        process = await ForkedProcess.start(self._service, [spec.container], environment)
        self.utilization.add(spec, process.pid)
        task = ProcessTask(spec, port, process, self)
        self.tasks.add(task)
        return task

    def load_balancer(self, cluster: str, service: str) -> LoadBalancer:
        """Return the load balancer of a service that has one."""
        return self.load_balancers[cluster, service]

    def route(
        self, cluster: str, service: str, production: Mapping[str, float], test: Mapping[str, float]
    ) -> None:
        """Spread a service's requests over its target groups, by weight."""
        if (balancer := self.load_balancers.get((cluster, service))) is not None:
            balancer.production.set(production)
            balancer.test.set(test)

    async def open_load_balancer(self, cluster: str, service: str) -> LoadBalancer:
        """Open the load balancer of a service, unless it is open; it stays when the service has no task."""
        if (cluster, service) not in self.load_balancers:
            balancer = LoadBalancer(free_port())
            self.load_balancers[cluster, service] = balancer
            await balancer.open()
        return self.load_balancers[cluster, service]

    def _database(self, spec: TaskSpec) -> dict[str, str]:
        """Return what ECS would inject as a secret, and the name that the database shows for the task."""
        if spec.cluster not in self._dsns:
            return {}
        name = f"{spec.task_definition}/{spec.task_id[:8]}"
        return {"AI_PROCESSOR_DSN": self._dsns[spec.cluster], "PGAPPNAME": name}

    async def close(self) -> None:
        """End every task that still runs, at once, and every load balancer."""
        await asyncio.gather(*(task.kill() for task in list(self.tasks)))
        await asyncio.gather(*(balancer.close() for balancer in self.load_balancers.values()))


def _process_environment(port: int, version: str) -> dict[str, str]:
    """Return what every task gets besides its container environment, which cannot override it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "PORT": str(port), "SERVICE_VERSION": version}
