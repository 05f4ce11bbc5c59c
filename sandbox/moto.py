"""The AWS services that the sandbox does not simulate itself: moto in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.processes import Daemon, free_port

START_TIMEOUT_SECONDS = 30.0


class MotoServer:
    """CloudWatch, CloudWatch Logs, STS, RDS and S3 on one address."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self._address = f"127.0.0.1:{port}"
        argv = [sys.executable, "-P", "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
        self._daemon = Daemon("moto", argv, folder)

    @property
    def url(self) -> str:
        """Where the services answer, without trailing slash."""
        return f"http://{self._address}"

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            DaemonDiedError: it ended instead.
            TimeoutError: it did not get ready.
        """
        await self._daemon.start()
        await self._daemon.wait_for_answer(
            self._address, "/moto-api/data.json", seconds=START_TIMEOUT_SECONDS
        )

    async def watch(self) -> None:
        """Wait for as long as it runs.

        Raises:
            DaemonDiedError: it ended by itself.
        """
        await self._daemon.watch()

    async def end(self) -> None:
        """End the server; nothing that it knows is kept."""
        await self._daemon.end()
