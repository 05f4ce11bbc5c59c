"""A load balancer per service: a stable port in front of tasks that come and go.

Single requests are spread round-robin over the healthy targets; a target is asked for its ``/health`` several
times a second. As with an AWS load balancer there is no second try on another target: a target that dies
under a request answers 502, one that is too slow 504, and without any healthy target the answer is 503.

Targets may be in target groups. Then weights say which group gets a request; as with AWS's, a group without healthy targets
answers 503 although another has some. A request with the header of test traffic goes by weights of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from itertools import count

from sandbox.balancing.figures import Figures
from sandbox.machine.wire import (
    Connections,
    Message,
    PeerGoneError,
    RefusedError,
    WireError,
    read_request,
    request,
    response,
)

CHECK_INTERVAL_SECONDS = 0.3

FIRST_CHECK_INTERVAL_SECONDS = 0.05

CHECK_TIMEOUT_SECONDS = 2.0

HEALTHY_AFTER = 2

UNHEALTHY_AFTER = 3

START_GRACE_SECONDS = 10.0
"""A process that does not listen yet is not unhealthy before this time is over."""

REQUEST_TIMEOUT_SECONDS = 60.0

DRAIN_TIMEOUT_SECONDS = 5.0

HOSTS_INTERVAL_SECONDS = 1.0
"""How often it is counted how many targets are healthy."""

TEST_HEADER = b"x-amzn-ecs-blue-green-test"
"""Marks test traffic, as in Service Connect; the sandbox's test rule goes by it."""

_NO_TARGET = response(503, "Service Unavailable", "no healthy target\n")

_TARGET_GONE = response(502, "Bad Gateway", "the target closed the connection\n")

_TARGET_SLOW = response(504, "Gateway Timeout", "the target did not answer in time\n")

_NOT_HTTP = response(400, "Bad Request", "not an HTTP/1.1 request\n")


class Target:
    """One task behind the load balancer, and what its health checks say."""

    def __init__(self, address: str, *figures: Figures, group: str = "") -> None:
        self.address = address
        self.group = group
        self._figures = figures
        self.healthy: bool | None = None
        self.in_flight = 0
        self._connections = Connections(address)
        self._in_a_row = 0
        self._checks = asyncio.create_task(self._check_for_ever())
        self._idle = asyncio.Event()
        self._idle.set()

    async def forward(self, message: Message) -> Message:
        """Pass a client's request to the task and return its answer, or the load balancer's own 502 or 504."""
        self.in_flight += 1
        self._idle.clear()
        began = time.monotonic()
        try:
            answer = await self._connections.exchange(message, REQUEST_TIMEOUT_SECONDS)
            for figures in self._figures:
                figures.forwarded(answer.status, time.monotonic() - began)
        except RefusedError:
            self._failed(502, chosen=False, refused=True)
            return _TARGET_GONE
        except WireError:
            self._failed(502, chosen=True)
            return _TARGET_GONE
        except TimeoutError:
            self._failed(504, chosen=True)
            return _TARGET_SLOW
        else:
            return answer
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    def _failed(self, status: int, *, chosen: bool, refused: bool = False) -> None:
        for figures in self._figures:
            figures.failed(status, chosen=chosen, refused=refused)

    async def drain(self) -> None:
        """Let the requests under way end, within limits, and remove the task."""
        self._checks.cancel()
        await asyncio.wait([self._checks])
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            self.healthy = False
        self._connections.close()

    async def _check_for_ever(self) -> None:
        started = time.monotonic()
        check = request("GET", "/health", self.address)
        while True:
            try:
                answer = await self._connections.exchange(check, CHECK_TIMEOUT_SECONDS)
                self._note(good=answer.status < 400)
            except PeerGoneError:
                if self.healthy is not None or time.monotonic() - started > START_GRACE_SECONDS:
                    self._note(good=False)
            except (WireError, TimeoutError):
                self._note(good=False)
            undecided = self.healthy is None
            await asyncio.sleep(FIRST_CHECK_INTERVAL_SECONDS if undecided else CHECK_INTERVAL_SECONDS)

    def _note(self, *, good: bool) -> None:
        """Count answers of one kind in a row; enough of them change what the target is."""
        same_kind = self._in_a_row >= 0 if good else self._in_a_row <= 0
        step = 1 if good else -1
        self._in_a_row = self._in_a_row + step if same_kind else step
        if self._in_a_row >= HEALTHY_AFTER:
            self.healthy = True
        elif self._in_a_row <= -UNHEALTHY_AFTER:
            self.healthy = False


class LoadBalancer:
    """An HTTP listener that spreads requests over its healthy targets."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.targets: list[Target] = []
        self.figures = Figures()
        self.groups: dict[str, Figures] = {}
        """The figures of each target group."""
        self.production, self.test = Weights(), Weights()
        self._counting: asyncio.Task[None] | None = None
        self._turn = count()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Where clients find the service, without trailing slash."""
        return f"http://{self.address}"

    async def open(self) -> None:
        """Start to listen."""
        self._server = await asyncio.start_server(self._serve, *self.address.split(":"))
        self._counting = asyncio.create_task(self._count_hosts_for_ever())

    async def close(self) -> None:
        """Stop listening, hang up on the clients and remove every target."""
        if self._server is not None:
            self._server.close()
        if self._counting is not None:
            self._counting.cancel()
        for writer in list(self._clients):
            writer.close()
        await asyncio.gather(*(self.remove(target) for target in list(self.targets)))

    def add(self, address: str, group: str = "") -> Target:
        """Put a task behind the load balancer; it gets requests once its health checks are good."""
        figures = (self.figures, self.groups.setdefault(group, Figures())) if group else (self.figures,)
        target = Target(address, *figures, group=group)
        self.targets.append(target)
        return target

    async def remove(self, target: Target) -> None:
        """Send the task no new requests and wait for those under way; a second removal changes nothing."""
        if target in self.targets:
            self.targets.remove(target)
            await target.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while message := await read_request(reader):
                answer = await self._answer(message)
                last = message.closes or answer.ended_by_close
                writer.write(answer.encode(close=last))
                await writer.drain()
                if last:
                    break
        except ConnectionError:
            pass  # the client hung up; nobody is left to tell
        except WireError:
            writer.write(_NOT_HTTP.encode(close=True))
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _count_hosts_for_ever(self) -> None:
        while True:
            for group, figures in [("", self.figures), *self.groups.items()]:
                said = [target.healthy for target in self.targets if group in {"", target.group}]
                figures.hosts(said.count(True), said.count(False))
            await asyncio.sleep(HOSTS_INTERVAL_SECONDS)

    async def _answer(self, message: Message) -> Message:
        group = (self.test if message.has(TEST_HEADER) else self.production).next()
        healthy = [
            target for target in self.targets if target.healthy and (not group or target.group in {"", group})
        ]
        if not healthy:
            self.figures.failed(503, chosen=False)
            return _NO_TARGET
        return await healthy[next(self._turn) % len(healthy)].forward(message)


class Weights:
    """A rule's weights by target group; none where a rule forwards to all targets."""

    def __init__(self) -> None:
        self.shares: dict[str, float] = {}
        self._credit: dict[str, float] = {}

    def set(self, shares: Mapping[str, float]) -> None:
        """Take new weights."""
        if self.shares != shares:
            self.shares = dict(shares)
            self._credit = dict.fromkeys(shares, 0.0)

    def next(self) -> str:
        """Return the group of the next request; empty without weights."""
        if not self.shares:
            return ""
        for group, share in self.shares.items():
            self._credit[group] += share
        chosen = max(self._credit, key=lambda group: self._credit[group])
        self._credit[chosen] -= sum(self.shares.values())
        return chosen
