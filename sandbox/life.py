"""The life of a sandbox: it starts, says where everything is, and ends on SIGINT or SIGTERM, with its parent, or when its stdin closes."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sandbox.monitoring.alertmanager import Webhook
from sandbox.names import TOKEN
from sandbox.world import Wishes, World

PARENT_CHECK_SECONDS = 0.5


class EndOfLife:
    """Notices that it is time to end; create it in the main thread, before anything is started."""

    def __init__(self, *, until_stdin_closes: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._due.set)
        self._parent = asyncio.create_task(self._watch_parent(os.getppid()))
        if until_stdin_closes:
            threading.Thread(target=self._read_stdin, daemon=True).start()

    async def wait(self) -> None:
        """Wait until it is time to end."""
        await self._due.wait()
        self._parent.cancel()

    async def _watch_parent(self, parent: int) -> None:
        """Poll for the parent: the kernel's own notice would come when only its starting *thread* ends."""
        while os.getppid() == parent:  # noqa: ASYNC110 - nobody would set an event for it
            await asyncio.sleep(PARENT_CHECK_SECONDS)
        self._due.set()

    def _read_stdin(self) -> None:
        while os.read(0, 4096):
            continue
        self._loop.call_soon_threadsafe(self._due.set)


async def live(options: argparse.Namespace, folder: Path) -> int:
    """Live as the options of ``python -m sandbox up`` say; returns the exit code."""
    end_of_life = EndOfLife(until_stdin_closes=options.until_stdin_closes)
    url, token = options.alertmanager_webhook, os.environ.get(TOKEN)
    if url and not token:
        sys.stderr.write(f"sandbox: --alertmanager-webhook needs the webhook's token in {TOKEN}\n")
        return 2
    wishes = Wishes(
        load=not options.no_load,
        prometheus=not options.no_prometheus,
        scraped=options.wait_for_prometheus,
        webhook=Webhook(url, token) if url and token else None,
        codec=options.ui_codec,
        signers=tuple(options.signed.split(",")) if options.signed else (),
        strategies=options.strategies,
    )
    try:
        world = World(folder, wishes)
    except RuntimeError as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 1
    ending = asyncio.create_task(end_of_life.wait())
    living = asyncio.create_task(_show_and_run(world, as_json=options.json, announce=options.announce))
    try:
        await asyncio.wait([ending, living], return_when=asyncio.FIRST_COMPLETED)
        if not living.done():
            return 0
        sys.stderr.write(f"sandbox: {living.exception()}\n")
        return 1
    finally:
        for task in (ending, living):
            task.cancel()
        await asyncio.wait([ending, living])
        await world.end()


async def _show_and_run(world: World, *, as_json: bool, announce: bool) -> None:
    def show() -> None:
        addresses = world.addresses()
        _say(json.dumps(addresses) if as_json else _readable(addresses))

    await world.start(show if announce else None)
    if announce:
        _say("ready")
    else:
        show()
    await world.run()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _readable(addresses: dict[str, Any]) -> str:
    lines = [f"{name:<12}{addresses[name]}" for name in ("temporal", "ui", "aws", "prometheus", "catalog")]
    lines += [f"{name:<12}{url}" for name, url in addresses["service"].items()]
    for service, urls in addresses.get("services", {}).items():
        lines += [f"{name}/{service}  {url}" for name, url in urls.items()]
    exports = [f"export {name}={value!r}" for name, value in addresses["env"].items()]
    return "\n".join([*lines, "", "For another shell:", "", *exports, "", "Ctrl-C ends it all."])
