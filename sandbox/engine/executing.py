"""What containers wrote, and programs that are run in one: PostgreSQL's own two tools in the database's, and nothing else."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.engine.container import Container
from sandbox.engine.model import Stream, moment
from sandbox.engine.reading import BadParameterError, Call, ConflictError, NoSuchError, NotSimulatedError
from sandbox.machine.processes import signal_child, start_child
from sandbox.machine.tasks import Program
from sandbox.names import DATABASE_SERVICE
from sandbox.postgres.server import Postgres

_NUMBER: dict[Stream, int] = {"stdout": 1, "stderr": 2}


def framed(stream: Stream, content: bytes) -> bytes:
    """Put the engine's head before what a stream says."""
    return struct.pack(">BxxxL", _NUMBER[stream], len(content)) + content


def logs(call: Call, container: Container) -> bytes:
    """Return the lines that were asked for, a frame each.

    Raises:
        BadParameterError: no stream was chosen.
        NotSimulatedError: lines that are still to come were asked for.
    """
    streams = {stream for stream in _NUMBER if call.flag(stream)}
    if not streams:
        raise BadParameterError("Bad parameters: you must choose at least one stream")
    if call.flag("follow"):
        raise NotSimulatedError("logs that continue")
    since, until = ((call.number(name) or 0) * 1e9 for name in ("since", "until"))
    lines = [
        line
        for line in list(container.lines)
        if line.stream in streams and line.at >= since and (not until or line.at <= until)
    ]
    tail = call.query.get("tail", "all")
    if tail.isdecimal():
        lines = lines[max(0, len(lines) - int(tail)) :]
    dated = call.flag("timestamps")
    return b"".join(
        framed(item.stream, (f"{moment(item.at)} ".encode() if dated else b"") + item.text + b"\n")
        for item in lines
    )


TOOLS = ("pg_isready", "psql")

FLAGS = {"-X", "-A", "-t", "-w", "-q"}

WITH_VALUE = {"-U", "-d", "-c"}

PATIENCE_SECONDS = 30.0

NOT_FOUND = 127

MOST_KEPT = 100


@dataclass
class Execution:
    """A program that is to be run in a container, or was."""

    container: Container
    argv: Sequence[str]
    environment: dict[str, str]
    exit_code: int | None = None


class Executions:
    """The executions that were asked for."""

    def __init__(self, postgres: Postgres | None) -> None:
        self._postgres = postgres
        self._known: dict[str, Execution] = {}

    def create(self, container: Container, asked: dict[str, object]) -> str:
        """Take down what is to be run; returns its id.

        Raises:
            ConflictError: the container does not run.
            BadParameterError, NotSimulatedError: that cannot be run.
        """
        if container.state.status != "running":
            raise ConflictError(f"container {container.id} is not running")
        argv, given = _words(asked.get("Cmd")), _words(asked.get("Env"))
        if not argv:
            raise BadParameterError("No exec command specified")
        if asked.get("Tty") or asked.get("AttachStdin"):
            raise NotSimulatedError("programs with a terminal or an input")
        _check(argv)
        environment = dict(word.partition("=")[::2] for word in given if word.startswith("PG"))
        id_ = secrets.token_hex(32)
        self._known[id_] = Execution(container, argv, environment)
        while len(self._known) > MOST_KEPT:
            del self._known[next(iter(self._known))]
        return id_

    def find(self, id_: str) -> Execution:
        """Return an execution.

        Raises:
            NoSuchError: it is not known.
        """
        if id_ not in self._known:
            raise NoSuchError(f"No such exec instance: {id_}")
        return self._known[id_]

    async def run(self, execution: Execution) -> bytes:
        """Run it to its end and return what it wrote, in the engine's frames."""
        program = self._program(execution)
        if program is None:
            execution.exit_code = NOT_FOUND
            words = (
                f'OCI runtime exec failed: exec: "{execution.argv[0]}": executable file not found in $PATH'
            )
            return framed("stdout", f"{words}\r\n".encode())
        process = await start_child(
            [*program.argv, *execution.argv[1:]],
            output=asyncio.subprocess.PIPE,
            errors=asyncio.subprocess.PIPE,
            environment=self._where() | execution.environment,
            user=program.user,
            folder=program.folder,
        )
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                said, wrong = await process.communicate()
        except TimeoutError:
            said, wrong = b"", b"the sandbox's engine waited for it in vain\n"
        finally:
            signal_child(process, signal.SIGKILL)
        code = await process.wait()
        execution.exit_code = code if code >= 0 else 128 - code
        return (framed("stdout", said) if said else b"") + (framed("stderr", wrong) if wrong else b"")

    def _program(self, execution: Execution) -> Program | None:
        there = self._postgres is not None and execution.container.spec.service == DATABASE_SERVICE
        return self._postgres.tool(execution.argv[0]) if self._postgres is not None and there else None

    def _where(self) -> dict[str, str]:
        """Return what is set in the database's container."""
        assert self._postgres is not None
        host, _, port = self._postgres.address("local").partition(":")
        return {"PATH": os.environ.get("PATH", os.defpath), "PGHOST": host, "PGPORT": port}


def _words(found: object) -> list[str]:
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def _check(argv: Sequence[str]) -> None:
    """Allow the tools' questions to the database: psql could also run programs and read files.

    Raises:
        NotSimulatedError: it is something else.
    """
    if argv[0] not in TOOLS:
        raise NotSimulatedError(f"{argv[0]}: only {' and '.join(TOOLS)} are run in its containers")
    left = iter(argv[1:])
    for word in left:
        if word == "-t" and argv[0] == "pg_isready":
            next(left, "")
        elif word in WITH_VALUE:
            if "\\" in next(left, ""):
                raise NotSimulatedError(f"commands of {argv[0]} that start with a backslash")
        elif word not in FLAGS:
            raise NotSimulatedError(f"the option {word} of {argv[0]}")
