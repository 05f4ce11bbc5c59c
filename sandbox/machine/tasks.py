"""What the simulated ECS asks of the machine: which images exist, what runs in a container, and tasks as real processes."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sandbox.machine.forking import ForkServer
from sandbox.names import SERVICE

_VERSION = re.compile(r"v?\d+(\.\d+)*([.+-][0-9A-Za-z]+)*")

_TAG = re.compile(r"\w[\w.-]{0,127}")

_PINNED = re.compile(rf"{SERVICE}(:[\w.+-]+)?@(?P<digest>sha256:[0-9a-f]{{64}})")


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
    target_group: str = ""
    """The ARN of the target group that it is put into; empty without one."""


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

    def route(
        self, cluster: str, service: str, production: Mapping[str, float], test: Mapping[str, float]
    ) -> None:
        """Spread a service's requests over its target groups, by weight."""
        ...


class ImageNotFoundError(Exception):
    """The image cannot be pulled; the task ends with ``CannotPullContainerError``."""


def digest_of(version: str) -> str:
    """Return the digest of a version's image: the same on every machine and in every sandbox."""
    return _hash(f"{SERVICE}:{version}")


def _hash(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


class ImageRegistry:
    """Every tag that is a version number exists, and every tag that was moved to one; a digest once a tag brought it."""

    def __init__(self) -> None:
        self._moved: dict[str, str] = {}
        self._version_of: dict[str, str] = {}

    @property
    def moved(self) -> dict[str, str]:
        """The version that each moved tag points to."""
        return dict(self._moved)

    def move(self, tag: str, version: str) -> None:
        """Have a tag of the service point to a version's image from now on; tasks that run keep theirs.

        Raises:
            ValueError: it is no tag, or no version.
        """
        if not _TAG.fullmatch(tag) or not _VERSION.fullmatch(version):
            raise ValueError('want {"tag": "latest", "version": "1.1.0"}')
        self._moved[tag] = version

    def digest_of(self, image: str) -> str:
        """Return the digest of an image of any repository; that of a tag is another one once the tag was moved."""
        if "@" in image:
            return image.partition("@")[2]
        version = self._version(image)
        if version is None:
            return _hash(image)
        self._version_of[digest_of(version)] = version
        return digest_of(version)

    def pull(self, image: str, digest: str | None = None) -> str:
        """Return the version inside an image.

        Args:
            image: its name.
            digest: what the name was found to point to, perhaps before its tag was moved.

        Raises:
            ImageNotFoundError: there is no such image.
        """
        pinned = _PINNED.fullmatch(image)
        found = self._version_of.get(pinned["digest"] if pinned else digest or self.digest_of(image))
        version = found or self._version(image)
        if version is None:
            raise ImageNotFoundError(f"{image}: not found")
        return version

    def _version(self, image: str) -> str | None:
        """Return the version that a tag of the service points to now; None where there is no such tag."""
        name, _, tag = image.partition(":")
        if name != SERVICE:
            return None
        tag = tag or "latest"
        return self._moved.get(tag) or (tag if _VERSION.fullmatch(tag) else None)


@dataclass(frozen=True)
class Program:
    """What runs in a container."""

    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    """What it gets besides the container's own environment; None: all of ours."""
    user: str | None = None
    folder: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    forked_by: ForkServer | None = None
    """Starts it sooner than its ``argv`` would; it is the same program."""

    @property
    def dies_with_us_by(self) -> signal.Signals:
        """The signal that it gets when the sandbox dies: one with children of its own ends them."""
        return signal.SIGKILL if self.stop_signal is signal.SIGTERM else self.stop_signal
