"""What the simulated ECS asks of the machine: run a task as a real process, say how it fares, stop it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class TaskSpec:
    """Everything a task's process is started from; the demo service's behaviour is in ``environment`` alone."""

    task_id: str
    cluster: str
    service: str
    task_definition: str
    """``family:revision``."""
    container: str
    image: str
    digest: str | None = None
    """What the image's tag pointed to when the deployment began; the tag may have been moved since."""
    environment: dict[str, str] = field(default_factory=dict)
    log_group: str | None = None
    cpu: int = 256
    """CPU units; 1024 are one core."""
    memory: int = 512
    """MiB."""


class RunningTask(Protocol):
    """A task whose process was started."""

    spec: TaskSpec

    @property
    def address(self) -> str:
        """``127.0.0.1:port`` of the task's own HTTP server."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None while the process lives; negative signal number when a signal ended it."""
        ...

    @property
    def healthy(self) -> bool | None:
        """What the load balancer's health check last said; None before the first answer."""
        ...

    async def stop(self) -> None:
        """Take the task out of the load balancer, SIGTERM, and SIGKILL when it does not listen."""
        ...


class TaskRunner(Protocol):
    """Starts tasks. The simulated ECS knows no more of processes than this."""

    def digest_of(self, image: str) -> str:
        """Return the digest that an image's name stands for now."""
        ...

    async def start(self, spec: TaskSpec) -> RunningTask:
        """Start the process and put it behind the service's load balancer.

        Raises:
            ImageNotFoundError: the image cannot be pulled.
        """
        ...


class ImageNotFoundError(Exception):
    """The image cannot be pulled; the task ends with ``CannotPullContainerError``."""
