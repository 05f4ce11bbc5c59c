"""Follows a run to its end, through restarts of workers and of Temporal itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from starter.client.connect import is_unreachable
from starter.client.run_view import RunView, look
from starter.client.runs import Run, describe

EVERY_SECONDS = 0.5
FIRST_ANSWER_SECONDS = 3
FIRST_ANSWER_EVERY_SECONDS = 0.1


async def follow(client: Client, run: Run, catalog: Path | None = None) -> AsyncIterator[RunView | None]:
    """Look at a run again and again until it has ended; None while Temporal itself is away."""
    while True:
        view = await _try_read(client, run, catalog)
        yield view
        if view and not view.run.is_open:
            return
        await asyncio.sleep(EVERY_SECONDS)


async def wait_for_end(client: Client, run: Run, catalog: Path | None = None) -> RunView:
    """Wait for a run's end without asking its worker anything meanwhile."""
    while True:
        try:
            now = await _newest(client, run)
            if now and not now.is_open:
                return await look(client, now, catalog)
        except RPCError as error:
            if not is_unreachable(error):
                raise
        await asyncio.sleep(EVERY_SECONDS)


async def first_answer(client: Client, run: Run, catalog: Path | None = None) -> RunView | None:
    """Wait briefly until a run may work on its target, or has ended without; None where neither is known in time."""
    with suppress(TimeoutError, RPCError):
        async with asyncio.timeout(FIRST_ANSWER_SECONDS):
            while True:
                view = await _try_read(client, run, catalog)
                if view and (view.report.admitted or not view.run.is_open):
                    return view
                await asyncio.sleep(FIRST_ANSWER_EVERY_SECONDS)
    return None


async def _newest(client: Client, run: Run) -> Run | None:
    """Read the run, or the one that it continues as."""
    now = await describe(client, run.id, run.run_id)
    return await describe(client, run.id) if now and now.continues_as_new else now


async def _try_read(client: Client, run: Run, catalog: Path | None) -> RunView | None:
    try:
        now = await _newest(client, run)
        return await look(client, now or run, catalog)
    except RPCError as error:
        if is_unreachable(error):
            return None
        raise
