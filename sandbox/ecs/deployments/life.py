"""A task's life on the machine, from PROVISIONING to STOPPED, with the reasons that AWS gives for its end."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine

from sandbox.ecs.limits import Pace, wait_after
from sandbox.ecs.model import Deployment, Service, Task
from sandbox.ecs.names import Names
from sandbox.machine.tasks import ImageNotFoundError, RunningTask, TaskRunner, TaskSpec

REPLACED = "ServiceSchedulerInitiated"
NO_ANSWER_SECONDS = 30.0
"""A health check that never answers this long says no."""
LONG_LIFE_SECONDS = 10.0
"""A task that lived this long before it died is no sign of a crash loop."""


class TaskLives:
    """Starts, watches and ends tasks; decides nothing about how many there should be."""

    def __init__(
        self,
        runner: TaskRunner,
        names: Names,
        pace: Pace,
        *,
        wake: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._pace = pace
        self._names = names
        self._wake = wake
        self._log = log

    def provision(self, service: Service, deployment: Deployment, tags: dict[str, str]) -> Task:
        """Add a task that waits to be placed."""
        task_id = uuid.uuid4().hex
        arn = self._names.task(service.cluster.name, task_id)
        task = Task(task_id, arn, service.name, deployment, deployment.id, tags, time.time())
        service.cluster.tasks[task_id] = task
        return task

    def place(self, service: Service, task: Task) -> None:
        """Begin to start a task."""
        task.placed = True
        task.last_status = "PENDING"
        task.pull_started_at = time.time()
        self._begin(task, self._start(service, task))

    def _begin(self, task: Task, work: Coroutine[object, object, None]) -> None:
        task.job = asyncio.create_task(work)
        task.job.add_done_callback(self._report)

    def _report(self, job: asyncio.Task[None]) -> None:
        if not job.cancelled() and (error := job.exception()) is not None:
            self._log(f"a task's work failed: {error!r}")

    async def _start(self, service: Service, task: Task) -> None:
        _, (running, failure) = await asyncio.gather(
            asyncio.sleep(self._pace.pending_seconds), self._pull_and_start(service, task)
        )
        if running is None:
            task.container_reason = failure
            self._ended(service, task, "TaskFailedToStart", failure)
            return
        task.running = running
        task.started_at = time.time()
        task.last_status = "RUNNING"
        if task.desired_status == "STOPPED":
            await self._stop(task, 0.0)
        self._wake()

    async def _pull_and_start(self, service: Service, task: Task) -> tuple[RunningTask | None, str]:
        spec = task_spec(service, task)
        try:
            return await self._runner.start(spec), ""
        except ImageNotFoundError as error:
            return None, f"CannotPullContainerError: pull image manifest has been retried 1 time(s): {error}"
        except Exception as error:  # noqa: BLE001 - whatever keeps a task from starting is that task's stoppedReason
            self._log(f"task {task.id} of {service.name} did not start: {error!r}")
            return None, f"ResourceInitializationError: {error}"

    def stop(self, task: Task, code: str, reason: str) -> None:
        """Ask a task to end; one that ends already keeps its first reason."""
        if not task.stays:
            return
        drain_seconds = self._pace.drain_seconds if task.good and code == REPLACED else 0.0
        task.desired_status = "STOPPED"
        task.stop_code = code
        task.stopped_reason = reason
        task.stopping_at = time.time()
        if not task.placed:
            self._gone(task)
        elif task.running is not None:
            task.last_status = "DEACTIVATING"
            self._begin(task, self._stop(task, drain_seconds))

    async def _stop(self, task: Task, drain_seconds: float) -> None:
        assert task.running is not None
        await asyncio.sleep(drain_seconds)
        await task.running.stop()
        task.exit_code = shell_code(task.running.exit_code)
        self._gone(task)

    def observe(self, service: Service, task: Task, now: float) -> None:
        """Take over what the machine and the load balancer say about a task."""
        running = task.running
        if running is None or not task.stays or task.started_at is None:
            return
        if running.exit_code is not None:
            task.exit_code = shell_code(running.exit_code)
            self._ended(service, task, "EssentialContainerExited", "Essential container in task exited")
            self._begin(task, running.stop())  # out of the load balancer
            return
        task.healthy = running.healthy
        if task.healthy and not task.was_healthy:
            task.was_healthy = True
            _count_success(service, task)
        self._judge_health(service, task, now)

    def _judge_health(self, service: Service, task: Task, now: float) -> None:
        assert task.started_at is not None
        grace = service.config.get("healthCheckGracePeriodSeconds") or 0
        age = now - task.started_at
        silent = task.healthy is None and age > grace + NO_ANSWER_SECONDS
        if not silent and (task.healthy is not False or age < grace):
            return
        where = health_check_of(service)
        service.say(f"(task {task.id}) failed {where}.", now)
        self.stop(task, REPLACED, f"Task failed {where}")
        _count_death(task, failed=not task.was_healthy, now=now)

    def _ended(self, service: Service, task: Task, code: str, reason: str) -> None:
        """Record a death that nobody asked for; a task that was asked to stop keeps that reason."""
        now = time.time()
        if task.desired_status == "RUNNING":
            task.stop_code, task.stopped_reason = code, reason
            _count_death(task, failed=not task.was_healthy, now=now)
        task.stopping_at = task.stopping_at or now
        self._log(f"task {task.id} of {service.name}: {task.stopped_reason}")
        self._gone(task)

    def _gone(self, task: Task) -> None:
        task.desired_status = task.last_status = "STOPPED"
        task.stopped_at = time.time()
        self._wake()


def _count_success(service: Service, task: Task) -> None:
    breaker = service.config["deploymentConfiguration"].get("deploymentCircuitBreaker", {})
    if breaker.get("resetOnHealthyTask", True):
        task.deployment.failed_tasks = 0


def _count_death(task: Task, *, failed: bool, now: float) -> None:
    deployment = task.deployment
    if failed and deployment.rollout_state == "IN_PROGRESS":
        deployment.failed_tasks += 1
        deployment.updated_at = now
    lived = now - (task.started_at or now)
    deployment.deaths_in_a_row = 1 if lived > LONG_LIFE_SECONDS else deployment.deaths_in_a_row + 1
    deployment.next_start = now + wait_after(deployment.deaths_in_a_row)


def health_check_of(service: Service) -> str:
    """Say which health check a task of this service has to pass."""
    for balancer in service.config.get("loadBalancers", []):
        if "targetGroupArn" in balancer:
            return f"ELB health checks in (target-group {balancer['targetGroupArn']})"
    return "container health checks"


def shell_code(exit_code: int | None) -> int | None:
    """Return an exit code as a container reports it: 128 and the number of the signal that ended it."""
    return 128 - exit_code if exit_code is not None and exit_code < 0 else exit_code


def task_spec(service: Service, task: Task) -> TaskSpec:
    """Say what the machine must know to run a task."""
    revision = task.deployment.revision
    definition = revision.task_definition
    container = definition.container
    options = container.get("logConfiguration", {}).get("options", {})
    return TaskSpec(
        task_id=task.id,
        cluster=service.cluster.name,
        service=service.name,
        task_definition=definition.name,
        container=container["name"],
        image=container["image"],
        digest=revision.digests[container["name"]],
        environment={item["name"]: item.get("value", "") for item in container.get("environment", [])},
        log_group=options.get("awslogs-group"),
        cpu=int(definition.fields.get("cpu") or container.get("cpu") or 256),
        memory=int(definition.fields.get("memory") or container.get("memory") or 512),
        target_group=task.deployment.revision.target_group,
    )
