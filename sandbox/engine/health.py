"""What a container's health check says: that of the load balancer in front of it, or one of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sandbox.balancing.load_balancer import LoadBalancer, Target

FIRST_INTERVAL_SECONDS = 0.05
INTERVAL_SECONDS = 5.0
UNHEALTHY_AFTER = 3


class HealthCheck(Protocol):
    """Checks a container for as long as its process lives."""

    @property
    def healthy(self) -> bool | None:
        """What it last said; None before the first answer."""
        ...

    def begin(self) -> None:
        """Start again, for a process that was just started."""
        ...

    async def end(self) -> None:
        """End, as the process has."""
        ...


class BehindBalancer:
    """Puts a container behind its service's load balancer, whose checks are the container's too."""

    def __init__(self, balancer: LoadBalancer, address: str) -> None:
        self._balancer = balancer
        self._address = address
        self._target: Target | None = None

    @property
    def healthy(self) -> bool | None:
        """What the load balancer last said; None before the first answer."""
        return self._target.healthy if self._target else None

    def begin(self) -> None:
        """Have the load balancer check it, and send it requests once it is well."""
        self._target = self._balancer.add(self._address)

    async def end(self) -> None:
        """Take it out of the load balancer."""
        if self._target is not None:
            self._target.healthy = False
            await self._balancer.remove(self._target)


class Asking:
    """Asks a question every few seconds."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        """Prepare it.

        Args:
            answers: whether the container is well; blocks.
        """
        self.healthy: bool | None = None
        self._answers = answers
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Ask from now on."""
        self.healthy = None
        self._asking = asyncio.create_task(self._ask())

    async def end(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> None:
        failed = 0
        while True:
            if await asyncio.to_thread(self._answers):
                self.healthy, failed = True, 0
            elif self.healthy is not None:
                failed += 1
                self.healthy = failed < UNHEALTHY_AFTER
            await asyncio.sleep(INTERVAL_SECONDS if self.healthy is not None else FIRST_INTERVAL_SECONDS)
