"""The real PostgreSQL of the sandbox: a small server for each environment, so that one's outage is not the other's."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sandbox.postgres_files import (
    DATABASE,
    OPERATOR,
    STATEMENTS,
    has_statements,
    make_files,
    make_folder,
    run,
    unprivileged_user,
)
from sandbox.postgres_wire import Connection, DatabaseError
from sandbox.processes import Daemon, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START_TIMEOUT_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "30",
    "superuser_reserved_connections": "3",
    "shared_buffers": "4MB",
    # Nothing here has to outlive the machine, and an idle server must cost nothing.
    "fsync": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
}


class Postgres:
    """The servers of some environments, and the folder that holds their files."""

    def __init__(self, programs: Path, folder: Path, environments: Iterable[str]) -> None:
        self._programs = programs
        self._user = unprivileged_user()
        self._logs = folder
        self._folder: Path | None = None
        self._password = ""
        self._ports = {name: free_port() for name in environments}
        self._servers: dict[str, Daemon] = {}
        self.ready = asyncio.Event()
        """Set once all servers take connections."""

    async def start(self) -> None:
        """Start the servers; each holds the service's database, empty.

        Raises:
            DaemonDiedError, TimeoutError, RuntimeError: a server did not get ready.
        """
        self._folder = make_folder(self._logs, self._user)
        first, *others = (self._folder / name for name in self._ports)
        self._password = await make_files(self._programs, first, self._user)
        await asyncio.gather(*(run("cp", "-a", str(first), str(other)) for other in others))
        self._servers = {name: self._daemon(name, self._folder / name) for name in self._ports}
        await asyncio.gather(*(self.restart(name) for name in self._ports))
        self.ready.set()

    async def restart(self, environment: str) -> None:
        """Start a server, after ending it when it runs, and wait until it takes connections."""
        await self._servers[environment].end()
        await self._servers[environment].start()
        await self._await_ready(environment)

    async def kill(self, environment: str) -> None:
        """End a server with SIGKILL; its sessions end themselves."""
        await self._servers[environment].kill()

    def pids(self) -> dict[str, int | None]:
        """Return the process id of each server, None where it does not run."""
        return {name: server.pid for name, server in self._servers.items()}

    async def end(self) -> None:
        """End the servers and remove their files."""
        await asyncio.gather(*(server.end() for server in self._servers.values()))
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def service_dsn(self, environment: str) -> str:
        """Return what the service connects with."""
        return f"postgresql://{DATABASE}@127.0.0.1:{self._ports[environment]}/{DATABASE}"

    def operator_dsn(self, environment: str) -> str:
        """Return what the product connects with; it holds a password."""
        address = f"127.0.0.1:{self._ports[environment]}"
        return f"postgresql://{OPERATOR}:{self._password}@{address}/{DATABASE}"

    def _daemon(self, name: str, folder: Path) -> Daemon:
        settings = {**SETTINGS, "port": str(self._ports[name])}
        if has_statements(self._programs):
            settings["shared_preload_libraries"] = STATEMENTS
        words = (word for setting in settings.items() for word in ("-c", "=".join(setting)))
        argv = [str(self._programs / "postgres"), "-D", str(folder), *words]
        # SIGTERM would wait until the last session has ended by itself.
        return Daemon(
            f"postgres-{name}", argv, self._logs, user=self._user, runs_in=folder, ends_by=signal.SIGINT
        )

    async def _await_ready(self, name: str) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < give_up_at:
            self._servers[name].check_alive()
            with suppress(DatabaseError):
                asked = await asyncio.to_thread(Connection, self.service_dsn(name), "sandbox", 5.0)
                asked.close()
                return
            await asyncio.sleep(0.03)
        raise TimeoutError(f"PostgreSQL of {name} was not ready after {START_TIMEOUT_SECONDS:.0f} s")
