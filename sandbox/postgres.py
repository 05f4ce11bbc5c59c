"""The real PostgreSQL of the sandbox: a small server for each environment, so that one's outage is not the other's.

PostgreSQL refuses to run as root. Where the sandbox does, the servers run as another user, in a folder of theirs.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from sandbox.processes import Daemon, free_port, signal_child, start_child

if TYPE_CHECKING:
    from collections.abc import Iterable

DATABASE = "ai_processor"
"""The service's database, and the role that the service connects as."""
OPERATOR = "runbook"
"""The product's role: a superuser, as in every version only those get the connections that are held back."""
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
STATEMENTS = "pg_stat_statements"


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs: Debian's newest version, else the one on PATH; None without any."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def _version(program: Path) -> int:
    name = program.parents[1].name
    return int(name) if name.isdecimal() else 0


class Postgres:
    """The servers of some environments."""

    def __init__(self, programs: Path, folder: Path, environments: Iterable[str]) -> None:
        self._programs = programs
        self._user = _unprivileged_user()
        self._parent = folder
        self._folder: Path | None = None
        self._password = secrets.token_urlsafe(12)
        self._ports = {name: free_port() for name in environments}
        self.servers: dict[str, Daemon] = {}

    async def start(self) -> None:
        """Start the servers, and create in each the service's database.

        Raises:
            DaemonDiedError, TimeoutError, RuntimeError: a server did not get ready.
        """
        self._folder = self._make_folder()
        first, *others = (self._folder / name for name in self._ports)
        await self._make_cluster(first)
        await asyncio.gather(*(self._run("cp", "-a", str(first), str(other)) for other in others))
        self.servers = {name: self._daemon(name, self._folder / name) for name in self._ports}
        await asyncio.gather(*(self._start_first(name) for name in self._ports))

    async def restart(self, environment: str) -> None:
        """Start a server again, after it was killed or after it is ended here."""
        await self.servers[environment].end()
        await self.servers[environment].start()
        await (await self._connect(environment, DATABASE)).close()

    async def end(self) -> None:
        """End the servers and remove their files."""
        await asyncio.gather(*(server.end() for server in self.servers.values()))
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def dsn(self, environment: str, role: str) -> str:
        """Return what a role connects with to the service's database."""
        return self._dsn(environment, role, DATABASE)

    def _dsn(self, environment: str, role: str, database: str) -> str:
        return f"postgresql://{role}:{self._password}@127.0.0.1:{self._ports[environment]}/{database}"

    def _make_folder(self) -> Path:
        if self._user is None:
            folder = self._parent / "postgres"
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
        folder = Path(tempfile.mkdtemp(prefix="runbook-sandbox-postgres-", dir=_open_folder()))
        owner = pwd.getpwnam(self._user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        return folder

    async def _make_cluster(self, folder: Path) -> None:
        password = folder.with_suffix(".password")
        password.touch(mode=0o600)
        if self._user is not None:
            os.chown(password, pwd.getpwnam(self._user).pw_uid, -1)
        password.write_text(self._password)
        options = [
            f"--username={OPERATOR}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ]
        options += ["--locale=C", "--wal-segsize=1", "--no-sync", "--no-instructions"]
        await self._run(str(self._programs / "initdb"), "-D", str(folder), *options)

    async def _run(self, *argv: str) -> None:
        process = await start_child(
            argv, output=asyncio.subprocess.PIPE, user=self._user, folder=self._folder
        )
        try:
            said, _ = await process.communicate()
        finally:
            signal_child(process, signal.SIGKILL)  # when we are cancelled; otherwise it is gone
        if process.returncode:
            raise RuntimeError(f"{Path(argv[0]).name}: {said.decode(errors='replace').strip()}")

    def _daemon(self, name: str, folder: Path) -> Daemon:
        settings = {**SETTINGS, "port": str(self._ports[name])}
        if self._has_statements():
            settings["shared_preload_libraries"] = STATEMENTS
        words = (word for item in settings.items() for word in ("-c", "=".join(item)))
        argv = [str(self._programs / "postgres"), "-D", str(folder), *words]
        return Daemon(
            f"postgres-{name}", argv, self._parent, user=self._user, runs_in=folder, ends_by=signal.SIGINT
        )

    def _has_statements(self) -> bool:
        return (self._programs.parent / "lib" / f"{STATEMENTS}.so").exists()

    async def _start_first(self, name: str) -> None:
        await self.servers[name].start()
        async with await self._connect(name, "postgres") as connection:
            role, password = sql.Identifier(DATABASE), sql.Literal(self._password)
            create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
            await connection.execute(create.format(role, password))
            await connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(role))
        if self._has_statements():
            async with await self._connect(name, DATABASE) as connection:
                await connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(STATEMENTS)))

    async def _connect(self, name: str, database: str) -> psycopg.AsyncConnection:
        """Connect as soon as the server takes connections."""
        give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < give_up_at:
            self.servers[name].check_alive()
            try:
                return await psycopg.AsyncConnection.connect(
                    self._dsn(name, OPERATOR, database), autocommit=True, connect_timeout=5
                )
            except psycopg.OperationalError:
                await asyncio.sleep(0.03)
        raise TimeoutError(f"PostgreSQL of {name} was not ready after {START_TIMEOUT_SECONDS:.0f} s")


def _unprivileged_user() -> str | None:
    """Return whom to run as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _open_folder() -> str:
    """Return a folder for temporary files that every user can reach: TMPDIR may lie in one of root's own."""
    candidates = (Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - mkdtemp goes inside
    for folder in candidates:
        if all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents)):
            return str(folder)
    raise RuntimeError("no folder for temporary files that PostgreSQL's user can reach")
