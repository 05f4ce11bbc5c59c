"""Long waits: what a heartbeat remembers, and handing over to another worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Progress:
    """What a wait last saw, for its heartbeat."""

    told = "nothing read yet"


async def handing_over(work: Coroutine[None, None, T], progress: Progress) -> T:
    """Do the work with a steady heartbeat; when this worker shuts down, end at once so that another goes on.

    Raises:
        ApplicationError: retryable and benign, when the worker shuts down.
    """
    patience = activity.info().heartbeat_timeout or timedelta(seconds=30)
    doing = asyncio.ensure_future(work)
    shutdown = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    try:
        while not doing.done() and not shutdown.done():
            activity.heartbeat(progress.told)
            await asyncio.wait(
                {doing, shutdown}, timeout=patience.total_seconds() / 2, return_when=asyncio.FIRST_COMPLETED
            )
        if doing.done():
            return doing.result()
        raise ApplicationError(
            "this worker shuts down; another goes on with the wait",
            type="HandedOver",
            category=ApplicationErrorCategory.BENIGN,
        )
    finally:
        doing.cancel()
        shutdown.cancel()


T = TypeVar("T")
