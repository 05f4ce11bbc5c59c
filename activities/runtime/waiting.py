"""Long waits: what a heartbeat remembers, and handing over to another worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

T = TypeVar("T")


class Progress:
    """What a wait last saw, for its heartbeat."""

    summary = "nothing read yet"


async def handing_over(
    work: Coroutine[None, None, T], seen: Callable[[], object], every: timedelta | None = None
) -> T:
    """Do the work with a steady heartbeat; when this worker shuts down, end at once so that another continues.

    Args:
        work: what takes long.
        seen: what the heartbeat carries, also to the next attempt.
        every: how often it is sent; twice in the heartbeat's timeout unless given.

    Raises:
        ApplicationError: retryable and benign, when the worker shuts down.
    """
    every = every or (activity.info().heartbeat_timeout or timedelta(seconds=30)) / 2
    doing = asyncio.ensure_future(work)
    shutdown = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    try:
        while True:
            activity.heartbeat(seen())
            if doing.done():
                return await doing
            if shutdown.done():
                raise handed_over()
            await asyncio.wait(
                {doing, shutdown}, timeout=every.total_seconds(), return_when=asyncio.FIRST_COMPLETED
            )
    finally:
        doing.cancel()
        shutdown.cancel()
        await asyncio.gather(doing, shutdown, return_exceptions=True)


def handed_over() -> ApplicationError:
    """Return what ends an attempt whose worker shuts down, so that another continues at once."""
    return ApplicationError(
        "this worker shuts down; another continues",
        type="HandedOver",
        next_retry_delay=timedelta(milliseconds=10),
        category=ApplicationErrorCategory.BENIGN,
    )
