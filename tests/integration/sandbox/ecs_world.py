"""A simulated ECS behind its real endpoint, on tasks that a test scripts instead of processes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import uvicorn
from botocore.config import Config
from shapes import mismatches, read_query_answer

from sandbox.aws.autoscaling import SimulatedAutoscaling
from sandbox.aws.endpoint import aws_endpoint
from sandbox.ecs import Pace, SimulatedEcs
from sandbox.machine.tasks import ImageNotFoundError, ImageRegistry, TaskSpec
from tests.patience import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.model import OperationModel
    from mypy_boto3_application_autoscaling import ApplicationAutoScalingClient
    from mypy_boto3_ecs import ECSClient

CLUSTER = "shop"
SERVICE = "web"
FAST = Pace(
    pending_seconds=0.1, drain_seconds=0.05, steady_seconds=0.3, minute_seconds=0.5, stage_seconds=0.05
)


@dataclass
class Script:
    """How the tasks of one version behave."""

    start_seconds: float = 0.02
    healthy_after: float | None = 0.1
    """None: never healthy, and the load balancer says so."""
    exits_after: float | None = None
    exit_code: int = 1
    stop_seconds: float = 0.05


@dataclass
class Moment:
    """How many tasks lived and served after something changed."""

    live: int
    healthy: int


class ScriptedTask:
    """A task that lives and dies by its script."""

    def __init__(self, spec: TaskSpec, script: Script, runner: ScriptedRunner) -> None:
        self.spec = spec
        self.script = script
        self.sick = False
        self.exit_code: int | None = None
        self._runner = runner
        self._started = time.monotonic()

    @property
    def address(self) -> str:
        return "127.0.0.1:8000"

    @property
    def healthy(self) -> bool | None:
        if self.exit_code is not None or self.sick or self.script.healthy_after is None:
            return False
        return True if time.monotonic() - self._started >= self.script.healthy_after else None

    def advance(self) -> None:
        wants_to_die = self.script.exits_after is not None
        if (
            self.exit_code is None
            and wants_to_die
            and time.monotonic() - self._started >= self.script.exits_after
        ):
            self.exit_code = self.script.exit_code

    async def stop(self) -> None:
        self.sick = True
        self._runner.note()
        if self.exit_code is None:
            await asyncio.sleep(self.script.stop_seconds)
            self.exit_code = 0
        self._runner.tasks.remove(self)
        self._runner.note()


class ScriptedRunner:
    """Starts scripted tasks, by image, and writes down every moment at which something changed."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.tasks: list[ScriptedTask] = []
        self.specs: list[TaskSpec] = []
        self.moments: list[Moment] = []
        self.missing: set[str] = set()
        self.images = ImageRegistry()
        self.routes: dict[tuple[str, str], tuple[dict[str, float], dict[str, float]]] = {}

    def digest_of(self, image: str) -> str:
        return self.images.digest_of(image)

    async def start(self, spec: TaskSpec) -> ScriptedTask:
        self.specs.append(spec)
        script = self.scripts.get(spec.image, Script())
        await asyncio.sleep(script.start_seconds)
        if spec.image in self.missing:
            raise ImageNotFoundError(f"{spec.image}: not found")
        task = ScriptedTask(spec, script, self)
        self.tasks.append(task)
        self.note()
        return task

    def route(self, cluster: str, service: str, production: Any, test: Any) -> None:
        self.routes[cluster, service] = (dict(production), dict(test))

    def note(self) -> None:
        for task in self.tasks:
            task.advance()
        live = [task for task in self.tasks if task.exit_code is None]
        self.moments.append(Moment(len(live), sum(1 for task in live if task.healthy)))

    async def watch(self) -> None:
        """Let time pass for the tasks."""
        while True:
            await asyncio.sleep(0.01)
            self.note()


@dataclass
class World:
    """The endpoint, its clients and the tasks behind it."""

    url: str
    ecs_simulation: SimulatedEcs
    runner: ScriptedRunner
    loop: asyncio.AbstractEventLoop
    checked_answers: int = 0
    clients: list[Any] = field(default_factory=list)

    def client(self, service: str, **settings: Any) -> Any:
        """Return a boto3 client all of whose answers are checked against the service model."""
        options = {"retries": {"total_max_attempts": 1}, "read_timeout": 5, "connect_timeout": 2} | settings
        client = boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(**options),
        )
        client.meta.events.register(
            f"after-call.{client.meta.service_model.service_id.hyphenize()}", self._check
        )
        self.clients.append(client)
        return client

    def _check(self, model: OperationModel, http_response: Any, **_: Any) -> None:
        protocol = model.service_model.metadata["protocol"]
        if http_response.status_code >= 300 or protocol not in {"json", "query"}:
            return
        if protocol == "query":
            text = read_query_answer(model, http_response.content)
        else:
            text = json.loads(http_response.content or b"{}")
        problems = mismatches(model.output_shape, text)
        assert not problems, f"{model.name}: {problems}"
        self.checked_answers += 1

    @property
    def ecs(self) -> ECSClient:
        return self.client("ecs")

    @property
    def autoscaling(self) -> ApplicationAutoScalingClient:
        return self.client("application-autoscaling")

    def calls(self) -> list[dict[str, Any]]:
        return httpx.get(f"{self.url}/_sandbox/calls").json()

    def fault(self, **fault: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/_sandbox/faults", json=fault)

    def post(self, action: str, body: dict[str, Any]) -> httpx.Response:
        """Call ECS as no client of AWS would."""
        target = f"AmazonEC2ContainerServiceV20141113.{action}"
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        return httpx.post(self.url, json=body, headers=headers)

    def service(self, name: str = SERVICE) -> dict[str, Any]:
        return self.ecs.describe_services(cluster=CLUSTER, services=[name])["services"][0]

    def deployment(self, arn: str | None = None) -> dict[str, Any]:
        """Return a service deployment; without an ARN the current one."""
        arn = arn or self.service()["currentServiceDeployment"]
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def release(self, version: str, script: Script | None = None, **container: Any) -> str:
        """Register a version, with what its tasks do, and return its ARN."""
        image = f"ai-processor:{version}"
        if script is not None:
            self.runner.scripts[image] = script
        app = {"name": "app", "image": image, "memory": 128, "portMappings": [{"containerPort": 8000}]}
        answer = self.ecs.register_task_definition(family="web", containerDefinitions=[app | container])
        return answer["taskDefinition"]["taskDefinitionArn"]

    def start_service(self, desired: int = 2, version: str = "1.0.0", **settings: Any) -> str:
        """Create cluster and service, wait until the first deployment is done, return its task definition."""
        self.ecs.create_cluster(clusterName=CLUSTER)
        arn = self.release(version)
        self.ecs.create_service(
            cluster=CLUSTER, serviceName=SERVICE, taskDefinition=arn, desiredCount=desired, **settings
        )
        self.until(lambda: self.deployment()["status"] == "SUCCESSFUL")
        return arn

    def update(self, **changes: Any) -> dict[str, Any]:
        return self.ecs.update_service(cluster=CLUSTER, service=SERVICE, **changes)["service"]

    def until(self, holds: Callable[[], object], seconds: float = PATIENCE) -> Any:
        """Return what ``holds`` answers, once it is true."""
        end = time.monotonic() + seconds
        while not (answer := holds()):
            assert time.monotonic() < end, f"not within {seconds} s: {self._state()}"
            time.sleep(0.03)
        return answer

    def _state(self) -> str:
        services = self.ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
        return json.dumps(services, default=str, indent=1)[:4000]


def primary(service: dict[str, Any]) -> dict[str, Any]:
    return next(deployment for deployment in service["deployments"] if deployment["status"] == "PRIMARY")


@contextmanager
def running_world(moto_url: str | None = None) -> Iterator[World]:
    """Serve a simulated ECS on a free loopback port, from a thread with its own event loop."""
    ready: threading.Event = threading.Event()
    made: list[World] = []
    stop: list[Callable[[], None]] = []

    async def serve() -> None:
        runner = ScriptedRunner()
        simulation = SimulatedEcs(runner, log=lambda _line: None, pace=FAST)
        app = aws_endpoint(simulation, SimulatedAutoscaling(simulation), moto_url)
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
        loops = [asyncio.create_task(simulation.run()), asyncio.create_task(runner.watch())]
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        made.append(World(f"http://127.0.0.1:{port}", simulation, runner, asyncio.get_running_loop()))
        stop.append(lambda: setattr(server, "should_exit", True))
        ready.set()
        await serving
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        assert not runner.tasks, "the simulated ECS left tasks running"

    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - shown by the test that used the world
            failures.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(10)
    if failures:
        raise failures[0]
    try:
        yield made[0]
    finally:
        for client in made[0].clients:
            client.close()
        stop[0]()
        thread.join(20)
    assert not failures, failures
