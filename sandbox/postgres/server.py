"""The real PostgreSQL of the sandbox: a small server per environment, its log, and a session that somebody starts by hand and forgets."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.call_log import Entry
from sandbox.machine.processes import Daemon, free_port
from sandbox.machine.tasks import Program
from sandbox.names import ECS_ENVIRONMENTS
from sandbox.postgres.files import (
    DATABASE,
    OPERATOR,
    STATEMENTS,
    has_statements,
    make_files,
    make_folder,
    run,
    unprivileged_user,
)
from sandbox.postgres.wire import Connection, DatabaseError

LINE_PREFIX = "%m|%a|"
"""``log_line_prefix`` of the servers: when, and the name of the application."""
LOGGED = "-c%20log_statement%3Dall"
"""Option of a DSN: the statements of its sessions are logged."""
_START = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ \w+\|(?P<application>[^|]*)\|(?P<kind>\w+): +", re.MULTILINE)
_NAME = re.compile(r"incident-runbooks(?:/(?P<run>[^/]+)/(?P<activity>[^/]+)/(?P<attempt>\d+))?")
_STATEMENT = re.compile(r"(?:statement|execute [^:]+):\s+(?P<statement>.*)", re.DOTALL)
_GIVEN = re.compile(r"\$\d+ = ('(?:[^']|'')*'|NULL)")
_CHANGES = re.compile(r"\b(pg_terminate_backend|pg_cancel_backend)\b")
_WORD = re.compile(r"\s*(\w+)")
_READS = frozenset({"SELECT", "SHOW", "BEGIN", "COMMIT", "ROLLBACK", "SET", "WITH"})
START_TIMEOUT_SECONDS = 30.0
NOT_THERE = ("cannot connect", "the connection", "the database system is")
"""How a refusal starts while a server is down, starts or stops."""
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
TIMEOUT_SECONDS = 10.0


class PostgresLog:
    """Follows one server's log."""

    def __init__(self, environment: str, file: Path) -> None:
        self._environment = environment
        self._file = file
        self._read_to = 0

    def new(self) -> Iterable[Entry]:
        """Return the changes that were written since the last look; a line that is not whole yet waits."""
        try:
            with self._file.open("rb") as log:
                log.seek(self._read_to)
                text = log.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return changes_in(whole.decode(errors="replace"), self._environment)


def changes_in(text: str, environment: str) -> list[Entry]:
    """Return the statements of the product that change something, as a piece of a log has them."""
    found: list[Entry] = []
    given: list[str] | None = None
    starts = list(_START.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    for start, end in zip(starts, ends, strict=False):  # a piece may have no start at all
        name = _NAME.fullmatch(start["application"])
        if name is None:
            continue
        said = text[start.end() : end]
        if start["kind"] == "DETAIL" and given is not None:
            given += [item.strip("'") for item in _GIVEN.findall(said)]
        logged = _STATEMENT.match(said) if start["kind"] == "LOG" else None
        action, given = _action(logged["statement"]) if logged else None, None
        if action:
            given = []
            caller = name.groupdict() if name["run"] else None
            parameters = {"environment": environment, "given": given}
            found.append(Entry("postgresql", "postgresql", action, parameters, caller))
    return found


def _action(statement: str) -> str | None:
    """Name what a statement changes; None where it only reads."""
    if call := _CHANGES.search(statement):
        return call[1]
    first = _WORD.match(statement)
    return first[1].upper() if first and first[1].upper() not in _READS else None


class Postgres:
    """The servers of some environments, and the folder that holds their files."""

    def __init__(
        self, programs: Path, folder: Path, environments: Iterable[str], in_containers: Iterable[str] = ()
    ) -> None:
        """Prepare them.

        Args:
            programs: the folder of PostgreSQL's programs.
            folder: the sandbox's folder.
            environments: whose servers are started here.
            in_containers: whose files are made here, for a server that somebody else starts.
        """
        self._programs = programs
        self._user = unprivileged_user()
        self._logs = folder
        self._folder: Path | None = None
        self._password = ""
        self._served = tuple(environments)
        self._ports = {name: free_port() for name in (*self._served, *in_containers)}
        self._servers: dict[str, Daemon] = {}
        self._written: list[PostgresLog] = []
        self.files_made = asyncio.Event()
        """Set once every server's files are there."""
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
        self.files_made.set()
        self._servers = {name: self._daemon(name) for name in self._served}
        self._written = [PostgresLog(name, server.output) for name, server in self._servers.items()]
        await asyncio.gather(*(self.restart(name) for name in self._served))
        self.ready.set()

    async def restart(self, environment: str) -> None:
        """Start a server, after ending it when it runs, and wait until it accepts connections."""
        await self._servers[environment].end()
        await self._servers[environment].start()
        await self._await_ready(environment)

    async def kill(self, environment: str) -> None:
        """End a server with SIGKILL; its sessions end themselves."""
        await self._servers[environment].kill()

    def changes(self) -> Iterable[Entry]:
        """Return what was changed by statements since the last look."""
        return [entry for log in self._written for entry in log.new()]

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
        """Return what the product connects with; it holds a password, and has the server log its statements."""
        address = f"127.0.0.1:{self._ports[environment]}"
        return f"postgresql://{OPERATOR}:{self._password}@{address}/{DATABASE}?options={LOGGED}"

    def program(self, environment: str) -> Program:
        """Return what a server is run by, once its files are made."""
        assert self._folder is not None
        folder = self._folder / environment
        settings = {**SETTINGS, "port": str(self._ports[environment])}
        if has_statements(self._programs):
            settings["shared_preload_libraries"] = STATEMENTS
        words = (word for setting in settings.items() for word in ("-c", "=".join(setting)))
        argv = (str(self._programs / "postgres"), "-D", str(folder), *words)
        # SIGTERM would wait until the last session has ended by itself.
        return Program(argv, user=self._user, folder=folder, stop_signal=signal.SIGINT)

    def tool(self, name: str) -> Program | None:
        """Return one of PostgreSQL's own tools, run as the servers are; None where it is missing."""
        program = self._programs / name
        return Program((str(program),), user=self._user, folder=self._folder) if program.exists() else None

    def address(self, environment: str) -> str:
        """Return ``127.0.0.1:port`` of a server."""
        return f"127.0.0.1:{self._ports[environment]}"

    @property
    def version(self) -> str:
        """The servers' major version, where the folder of the programs reports it."""
        name = self._programs.parent.name
        return name if name.isdecimal() else "latest"

    def answers(self, environment: str) -> bool:
        """Whether a server is there, though it may have no connection left, as pg_isready reports it; blocks."""
        try:
            Connection(self.service_dsn(environment), "sandbox", 5.0).close()
        except DatabaseError as error:
            return not str(error).startswith(NOT_THERE)
        return True

    def _daemon(self, name: str) -> Daemon:
        run = self.program(name)
        return Daemon(
            f"postgres-{name}",
            (*run.argv, "-c", f"log_line_prefix={LINE_PREFIX}"),
            self._logs,
            user=run.user,
            runs_in=run.folder,
            ends_by=run.stop_signal,
        )

    async def _await_ready(self, name: str) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < give_up_at:
            self._servers[name].check_alive()
            if await asyncio.to_thread(self.answers, name):
                return
            await asyncio.sleep(0.03)
        raise TimeoutError(f"PostgreSQL of {name} was not ready after {START_TIMEOUT_SECONDS:.0f} s")


def forget_session(operator_dsn: str, application: str, statement: str) -> Connection:
    """Start a transaction as the service's role, run a statement in it, and leave it at that.

    Args:
        operator_dsn: what the product connects with; the service's role needs no password.
        application: the name that the database shows for the session.
        statement: what was done before the session was forgotten.

    Raises:
        DatabaseError: the database refuses.
    """
    where = urlsplit(operator_dsn)
    dsn = f"postgresql://{DATABASE}@{where.hostname}:{where.port}{where.path}"
    session = Connection(dsn, application, TIMEOUT_SECONDS)
    session.execute(f"BEGIN; {statement}")
    return session


def service_dsns(postgres: Postgres | None) -> dict[str, str]:
    """Return the DSN of each cluster's services."""
    if postgres is None:
        return {}
    return {
        environment.cluster: postgres.service_dsn(environment.name)
        for environment in ECS_ENVIRONMENTS.values()
    }
