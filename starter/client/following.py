"""Follows a run to its end, through restarts of workers and of Temporal itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporalio.service import RPCError

from starter.client.connect import is_away
from starter.client.run_view import Sight, look
from starter.client.runs import describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from temporalio.client import Client

    from starter.client.runs import Run

EVERY_SECONDS = 0.5


async def follow(client: Client, run: Run, catalog: Path | None = None) -> AsyncIterator[Sight | None]:
    """Look at a run again and again until it has ended; None while Temporal itself is away."""
    while True:
        sight = await _glance(client, run, catalog)
        yield sight
        if sight and not sight.run.is_open:
            return
        await asyncio.sleep(EVERY_SECONDS)


async def wait_for_end(client: Client, run: Run, catalog: Path | None = None) -> Sight:
    """Wait for a run's end without asking its worker anything meanwhile."""
    while True:
        try:
            now = await _newest(client, run)
            if now and not now.is_open:
                return await look(client, now, catalog)
        except RPCError as error:
            if not is_away(error):
                raise
        await asyncio.sleep(EVERY_SECONDS)


async def _newest(client: Client, run: Run) -> Run | None:
    """Read the run, or the one that it continues as."""
    now = await describe(client, run.id, run.run_id)
    return await describe(client, run.id) if now and now.goes_on_as_new else now


async def _glance(client: Client, run: Run, catalog: Path | None) -> Sight | None:
    try:
        now = await _newest(client, run)
        return await look(client, now or run, catalog)
    except RPCError as error:
        if is_away(error):
            return None
        raise
