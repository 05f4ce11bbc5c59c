"""The engine's endpoints: those that a compose project's readers and restarters use."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from sandbox.call_log import CallLog, Entry, caller_of
from sandbox.engine import shapes
from sandbox.engine.container import Container
from sandbox.engine.executing import Executions, logs
from sandbox.engine.reading import (
    BadParameterError,
    Call,
    ConflictError,
    EngineError,
    NoSuchError,
    NotSimulatedError,
    chosen,
)
from sandbox.engine.stack import Stack

STOP_GRACE_SECONDS = 10.0
BETWEEN_READINGS_SECONDS = 1.0


@dataclass(frozen=True)
class Answer:
    """What the engine answers."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    later: Callable[[], Awaitable[bytes]] | None = None
    """What comes once the head is sent, and ends the connection."""


def wording(document: object, status: int = 200) -> Answer:
    """Answer with a JSON document."""
    return Answer(status, json.dumps(document).encode() + b"\n")


class EngineApi:
    """Answers calls about the containers of a stack."""

    def __init__(self, stack: Stack, log: CallLog) -> None:
        self._stack = stack
        self._log = log
        self._executions = Executions(stack.postgres)

    async def answer(self, call: Call) -> Answer:
        """Answer a call; what is refused is an answer too."""
        try:
            for method, pattern, operation, endpoint in self._ENDPOINTS:
                if method == call.method and (found := pattern.fullmatch(call.path)):
                    return await self._logged(call, operation, endpoint, *found.groups())
            raise NotSimulatedError(f"{call.method} {call.path}")
        except EngineError as error:
            return wording({"message": str(error)}, error.status)

    async def _logged(
        self, call: Call, operation: str, endpoint: Callable[..., Awaitable[Answer]], *names: str
    ) -> Answer:
        """Do what is asked, and log it under the name that Docker's API has for it."""
        error: str | None = None
        try:
            return await endpoint(self, call, *names)
        except EngineError as refused:
            error = str(refused.status)
            raise
        finally:
            caller, asked = caller_of(call.user_agent), self._described(*names)
            self._log.add(Entry("docker", "docker", operation, asked, caller, error))

    def _described(self, name: str = "") -> dict[str, str]:
        if not name:
            return {}
        container = self._stack.find(name)
        return {"container": container.spec.name if container else name}

    async def _ping(self, call: Call) -> Answer:
        return Answer(200, b"OK" if call.method == "GET" else b"", "text/plain; charset=utf-8")

    async def _version(self, _: Call) -> Answer:
        return wording(shapes.version())

    async def _list(self, call: Call) -> Answer:
        return wording([shapes.listed(item) for item in chosen(call, self._stack.containers)])

    async def _inspect(self, _: Call, name: str) -> Answer:
        return wording(shapes.inspected(self._container(name)))

    async def _statistics(self, call: Call, name: str) -> Answer:
        container = self._container(name)
        if call.flag("stream", usually=True):
            raise NotSimulatedError("statistics that continue")
        if call.flag("one-shot") or not container.state.pid:
            return wording(shapes.statistics(container))
        before = shapes.statistics(container)
        await asyncio.sleep(BETWEEN_READINGS_SECONDS)
        return wording(shapes.statistics(container, before))

    async def _logs(self, call: Call, name: str) -> Answer:
        written = logs(call, self._container(name))

        async def send() -> bytes:
            return written

        return Answer(200, content_type="application/vnd.docker.multiplexed-stream", later=send)

    async def _top(self, _: Call, name: str) -> Answer:
        container = self._container(name)
        if not container.state.pid:
            raise ConflictError(f"container {container.id} is not running")
        rows = [[str(process.pid), " ".join(process.cmdline())] for process in container.processes]
        return wording({"Titles": ["PID", "CMD"], "Processes": rows})

    async def _start(self, _: Call, name: str) -> Answer:
        return Answer(204 if await self._container(name).start() else 304)

    async def _stop(self, call: Call, name: str) -> Answer:
        return Answer(204 if await self._container(name).stop(_grace(call)) else 304)

    async def _restart(self, call: Call, name: str) -> Answer:
        await self._container(name).restart(_grace(call))
        return Answer(204)

    async def _kill(self, call: Call, name: str) -> Answer:
        container = self._container(name)
        if call.query.get("signal", "KILL") not in {"KILL", "SIGKILL", "9"}:
            raise NotSimulatedError("kills by another signal than SIGKILL")
        if not await container.kill():
            raise ConflictError(f"container {container.id} is not running")
        return Answer(204)

    async def _create_execution(self, call: Call, name: str) -> Answer:
        return wording({"Id": self._executions.create(self._container(name), call.document())}, 201)

    async def _start_execution(self, call: Call, id_: str) -> Answer:
        execution = self._executions.find(id_)
        if call.document().get("Detach"):
            raise NotSimulatedError("programs that nobody listens to")

        async def run() -> bytes:
            return await self._executions.run(execution)

        status = 101 if call.wants_upgrade else 200
        return Answer(status, content_type="application/vnd.docker.raw-stream", later=run)

    async def _inspect_execution(self, _: Call, id_: str) -> Answer:
        execution = self._executions.find(id_)
        return wording(
            {
                "ID": id_,
                "ContainerID": execution.container.id,
                "Running": False,
                "ExitCode": execution.exit_code,
                "ProcessConfig": {"entrypoint": execution.argv[0], "arguments": list(execution.argv[1:])},
            }
        )

    def _container(self, name: str) -> Container:
        container = self._stack.find(name)
        if container is None:
            raise NoSuchError(f"No such container: {name}")
        return container

    _ENDPOINTS: ClassVar = tuple(
        (method, re.compile(path.replace("{}", "([^/]+)")), operation, endpoint)
        for method, path, operation, endpoint in (
            ("GET", "/_ping", "SystemPing", _ping),
            ("HEAD", "/_ping", "SystemPing", _ping),
            ("GET", "/version", "SystemVersion", _version),
            ("GET", "/containers/json", "ContainerList", _list),
            ("GET", "/containers/{}/json", "ContainerInspect", _inspect),
            ("GET", "/containers/{}/stats", "ContainerStats", _statistics),
            ("GET", "/containers/{}/logs", "ContainerLogs", _logs),
            ("GET", "/containers/{}/top", "ContainerTop", _top),
            ("POST", "/containers/{}/start", "ContainerStart", _start),
            ("POST", "/containers/{}/stop", "ContainerStop", _stop),
            ("POST", "/containers/{}/restart", "ContainerRestart", _restart),
            ("POST", "/containers/{}/kill", "ContainerKill", _kill),
            ("POST", "/containers/{}/exec", "ContainerExec", _create_execution),
            ("POST", "/exec/{}/start", "ExecStart", _start_execution),
            ("GET", "/exec/{}/json", "ExecInspect", _inspect_execution),
        )
    )


def _grace(call: Call) -> float:
    """Return how long a container may take to end; a client that says nothing leaves it to the engine."""
    said = call.number("t")
    if said is not None and said < 0:
        raise BadParameterError("waiting for ever is not simulated")
    return STOP_GRACE_SECONDS if said is None else said
