"""The environment ``local``: a container engine at an address of its own, its server and switch, and the compose project that it runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from sandbox.balancing.everyday_load import Load
from sandbox.call_log import CallLog
from sandbox.control import RefusedOrderError, one_of, switch
from sandbox.engine.api import Answer, EngineApi
from sandbox.engine.breaking import PATH
from sandbox.engine.container import Container
from sandbox.engine.model import POLICIES, USUALLY, known_policy
from sandbox.engine.reading import read_call
from sandbox.engine.shapes import API_VERSION
from sandbox.engine.stack import Stack
from sandbox.machine.forking import ForkServer
from sandbox.machine.processes import free_port
from sandbox.machine.wire import WireError, read_request
from sandbox.names import LOCAL, SERVICE
from sandbox.postgres.server import Postgres
from sandbox.tasks.runner import ProcessRunner
from sandbox.tasks.scrape_targets import ScrapeTargets

if TYPE_CHECKING:
    from starlette.routing import Route

HEAD_FIRST_SECONDS = 0.1
"""Docker's Python client loses what comes in one piece with the head; a real engine is seldom so quick."""

ACTIONS: dict[str, Callable[[Container], bool]] = {
    "kill": lambda container: container.crash(signal.SIGKILL),
    "hang": lambda container: container.crash(signal.SIGSTOP),
}


class _Server:
    def __init__(self, api: EngineApi) -> None:
        self._api = api
        self.clients: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client's requests, one after another."""
        self.clients.add(writer)
        try:
            while message := await read_request(reader):
                answer = await self._api.answer(read_call(message))
                writer.write(_head(answer) + answer.body)
                await writer.drain()
                if answer.later is not None:
                    body, _ = await asyncio.gather(answer.later(), asyncio.sleep(HEAD_FIRST_SECONDS))
                    writer.write(body)
                    await writer.drain()
                if answer.later is not None or message.closes:
                    break
        except ConnectionError:
            pass  # the client hung up; nobody is left to tell
        except WireError:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        finally:
            self.clients.discard(writer)
            writer.close()


@asynccontextmanager
async def serving(api: EngineApi, port: int) -> AsyncIterator[None]:
    """Serve the engine's API on a loopback port while the context lasts."""
    server = _Server(api)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", port)
    try:
        yield
    finally:
        listening.close()
        for writer in list(server.clients):
            writer.close()


def _head(answer: Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Api-Version: {API_VERSION}",
        f"Content-Type: {answer.content_type}",
    ]
    if answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
        lines += ["Connection: Upgrade", "Upgrade: tcp"]
    elif answer.later is not None:
        lines.append("Connection: close")
    elif answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode()


class Engine:
    """The simulated engine and its one project."""

    def __init__(
        self, service: ForkServer, targets: ScrapeTargets | None, postgres: Postgres | None, log: CallLog
    ) -> None:
        """Prepare them; who gives what is reported at ``Stack``."""
        self._port = free_port()
        self._log = log
        self.stack = Stack(service, targets, postgres)
        self._open = AsyncExitStack()

    @property
    def environment(self) -> dict[str, str]:
        """What a Docker client needs to find the engine."""
        return {"DOCKER_HOST": f"tcp://127.0.0.1:{self._port}"}

    @property
    def routes(self) -> list[Route]:
        """The sandbox's switches for the project."""
        return compose_routes(self.stack)

    async def open(self, runner: ProcessRunner, requests_per_second: float) -> Load:
        """Open the service's load balancer and the engine, without a container yet; return the service's load."""
        balancer = await runner.open_load_balancer(LOCAL.project, SERVICE)
        self.stack.balancer = balancer
        await self._open.enter_async_context(serving(EngineApi(self.stack, self._log), self._port))
        return Load(balancer.address, requests_per_second)

    async def close(self) -> None:
        """End the engine and every container."""
        await self._open.aclose()
        await self.stack.close()


def compose_routes(stack: Stack) -> list[Route]:
    """Return the routes that show the project and break it."""

    def show() -> object:
        containers = [
            {
                "name": item.spec.name,
                "id": item.id,
                "pid": item.state.pid or None,
                "status": item.state.status,
                "environment": dict(item.spec.environment),
                "restart": item.spec.policy,
            }
            for item in stack.containers
        ]
        return {"url": stack.url, "containers": containers}

    async def order(asked: Mapping[str, object]) -> None:
        service = one_of(asked, "service", stack.services)
        if asked.get("action") is not None:
            break_with = ACTIONS[one_of(asked, "action", ACTIONS)]
            met = [break_with(container) for container in stack.of(service)]
            if not any(met):
                raise RefusedOrderError(f"no container of {service} runs")
            return
        environment, policy = asked.get("environment"), asked.get("restart", USUALLY)
        if not isinstance(environment, dict) or not all(
            isinstance(item, str) for item in environment.values()
        ):
            raise RefusedOrderError('without an action, environment must be an object: {"NAME": "VALUE"}')
        if not known_policy(policy):
            raise RefusedOrderError(
                f'restart must be one of: {", ".join(POLICIES)}, or such as "on-failure:3"'
            )
        await stack.recreate(service, environment, policy)

    return switch(PATH, show, order)
