"""The real Alertmanager of the sandbox, when a webhook is named that is to get its alerts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox.haste import hastened_routes
from sandbox.processes import Daemon, free_port

START_TIMEOUT_SECONDS = 30.0
_PROGRAMS = ("prometheus-alertmanager", "alertmanager")


@dataclass(frozen=True)
class Webhook:
    """Who gets the alerts."""

    url: str
    token: str


class Alertmanager:
    """An Alertmanager with the product's own routes, only quicker."""

    def __init__(self, folder: Path, webhook: Webhook) -> None:
        """Prepare it.

        Args:
            folder: where it keeps what it has sent, its configuration and its log.
            webhook: who gets the alerts.

        Raises:
            RuntimeError: it is not installed, or the tree has no routes.
        """
        self.address = f"127.0.0.1:{free_port()}"
        token = folder / "webhook-token"
        token.touch(mode=0o600)
        token.write_text(webhook.token)
        configuration = folder / "alertmanager.yml"
        configuration.write_text(hastened_routes(webhook.url, token))
        argv = [
            _program(),
            f"--config.file={configuration}",
            f"--web.listen-address={self.address}",
            f"--storage.path={folder / 'alertmanager'}",
            "--data.maintenance-interval=5s",  # what was sent is known again after a kill
            "--cluster.listen-address=",
            "--log.level=info",
        ]
        self._daemon = Daemon("alertmanager", argv, folder)

    @property
    def url(self) -> str:
        """Where it answers, without trailing slash."""
        return f"http://{self.address}"

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._daemon.pid

    async def start(self) -> None:
        """Start it and wait until it takes alerts.

        Raises:
            DaemonDiedError: it ended instead.
            TimeoutError: it did not get ready.
        """
        await self._daemon.start()
        await self._daemon.wait_for_answer(self.address, "/-/ready", seconds=START_TIMEOUT_SECONDS)

    async def kill(self) -> None:
        """End it with SIGKILL, as a crash would; it stays away until it is started again."""
        await self._daemon.kill()

    async def restart(self) -> None:
        """End it in order and start it again."""
        await self._daemon.end()
        await self.start()

    async def end(self) -> None:
        """End it in order."""
        await self._daemon.end()


def find_alertmanager() -> str | None:
    """Return the program on PATH, or None."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


def _program() -> str:
    found = find_alertmanager()
    if found is None:
        raise RuntimeError("no Alertmanager on PATH: install the Debian package `prometheus-alertmanager`")
    return found
