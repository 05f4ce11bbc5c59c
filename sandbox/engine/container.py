"""One container: a real process that is started, stopped, killed and, by its policy, started again."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import psutil

from sandbox.balancing.load_balancer import LoadBalancer, Target
from sandbox.engine.model import ContainerSpec, Line, State, Stream, starts_again
from sandbox.machine.forking import ForkedProcess
from sandbox.machine.processes import end_child, signal_child, start_child
from sandbox.machine.tasks import Program

FIRST_INTERVAL_SECONDS = 0.05

INTERVAL_SECONDS = 5.0

UNHEALTHY_AFTER = 3


class BehindBalancer:
    """Puts a container behind its service's load balancer, whose checks are the container's too."""

    def __init__(self, balancer: LoadBalancer, address: str) -> None:
        self._balancer = balancer
        self._address = address
        self._target: Target | None = None

    @property
    def healthy(self) -> bool | None:
        """What the load balancer last said; None before the first answer."""
        return self._target.healthy if self._target else None

    def begin(self) -> None:
        """Have the load balancer check it, and send it requests once it is well."""
        self._target = self._balancer.add(self._address)

    async def end(self) -> None:
        """Take it out of the load balancer."""
        if self._target is not None:
            self._target.healthy = False
            await self._balancer.remove(self._target)


class Asking:
    """Asks a question every few seconds."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        """Prepare it.

        Args:
            answers: whether the container is well; blocks.
        """
        self.healthy: bool | None = None
        self._answers = answers
        self._asking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Ask from now on."""
        self.healthy = None
        self._asking = asyncio.create_task(self._ask())

    async def end(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _ask(self) -> None:
        failed = 0
        while True:
            if await asyncio.to_thread(self._answers):
                self.healthy, failed = True, 0
            elif self.healthy is not None:
                failed += 1
                self.healthy = failed < UNHEALTHY_AFTER
            await asyncio.sleep(INTERVAL_SECONDS if self.healthy is not None else FIRST_INTERVAL_SECONDS)


HealthCheck = BehindBalancer | Asking
"""Checks a container for as long as its process lives."""

Started = asyncio.subprocess.Process | ForkedProcess

FIRST_PAUSE_SECONDS = 0.1

LONGEST_PAUSE_SECONDS = 60.0
"""Between two starts by the policy; doubled each time, and the first again after a good while."""

GOOD_WHILE_SECONDS = 10.0

LOOK_SECONDS = 0.1

LINES_KEPT = 20_000

LAST_WORDS_SECONDS = 1.0
"""How long the output of a process that ended is still read; its own children may hold it open."""


class Container:
    """A container of the project, from its creation to its removal."""

    def __init__(self, spec: ContainerSpec, health: HealthCheck) -> None:
        self.id = secrets.token_hex(32)
        self.spec = spec
        self.state = State()
        self.created = time.time_ns()
        self.lines: deque[Line] = deque(maxlen=LINES_KEPT)
        self._health = health
        self._process: Started | None = None
        self._life: asyncio.Task[None] | None = None
        self._ordered = asyncio.Lock()
        self._pause_over = asyncio.Event()

    @property
    def health(self) -> str:
        """``starting``, ``healthy`` or ``unhealthy``, which it also is while it does not run."""
        if self.state.status != "running" or self._health.healthy is False:
            return "unhealthy"
        return "healthy" if self._health.healthy else "starting"

    @property
    def processes(self) -> list[psutil.Process]:
        """Its process and that one's children; none while it does not run."""
        if not self.state.pid:
            return []
        try:
            first = psutil.Process(self.state.pid)
            return [first, *first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    async def start(self) -> bool:
        """Start it; False when it runs already."""
        async with self._ordered:
            return await self._start()

    async def stop(self, grace_seconds: float) -> bool:
        """Ask it to end, and kill it when it does not in time; False when it had ended."""
        async with self._ordered:
            return await self._stop(grace_seconds)

    async def restart(self, grace_seconds: float) -> None:
        """Stop it when it runs, and start it; it stays the same container."""
        async with self._ordered:
            await self._stop(grace_seconds)
            await self._start()

    async def kill(self) -> bool:
        """Kill it by hand, as ``docker kill`` does: its policy leaves it alone; False when it had ended."""
        return await self.stop(0)

    def crash(self, number: signal.Signals) -> bool:
        """Send its process a signal behind the engine's back; False when there is none."""
        if self._process is None or self._process.returncode is not None:
            return False
        signal_child(self._process, number)
        return True

    def outgrew(self) -> None:
        """Do what the kernel does to one above its memory."""
        if self.crash(signal.SIGKILL):
            self.state.out_of_memory = True

    async def _start(self) -> bool:
        if self._life is not None and not self._life.done():
            return False
        self.state.by_hand = False
        self.state.restarts = 0
        self._pause_over.clear()
        process = await self._begin()
        self._life = asyncio.create_task(self._live(process))
        return True

    async def _stop(self, grace_seconds: float) -> bool:
        if self._life is None or self._life.done():
            return False
        self.state.by_hand = True
        self._pause_over.set()
        ends_by = self.spec.program.stop_signal if grace_seconds else signal.SIGKILL
        while not self._life.done():  # its policy may just be starting another process
            assert self._process is not None
            await end_child(self._process, grace_seconds or GOOD_WHILE_SECONDS, ends_by)
            await asyncio.wait([self._life], timeout=LOOK_SECONDS)
        return True

    async def _begin(self) -> Started:
        program = self.spec.program
        given = program.environment
        environment = None if given is None else {**self.spec.environment, **given}
        process = await _start(program, environment)
        self._process = process
        state = self.state
        state.status, state.pid, state.exit_code, state.out_of_memory = "running", process.pid, 0, False
        state.started = time.time_ns()
        self._health.begin()
        return process

    async def _live(self, process: Started) -> None:
        """Follow it from one start to the next, until it is not started again."""
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._follow(process)
            await self._end(process)
            if not starts_again(self.spec.policy, self.state):
                return
            state = self.state
            lived = ((state.finished or 0) - (state.started or 0)) / 1e9
            pause = FIRST_PAUSE_SECONDS if lived > GOOD_WHILE_SECONDS else pause
            state.status = "restarting"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._pause_over.wait(), pause)
            if state.by_hand:
                state.status = "exited"
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            state.restarts += 1
            process = await self._begin()

    async def _follow(self, process: Started) -> None:
        reading = [
            asyncio.create_task(self._read("stdout", process.stdout)),
            asyncio.create_task(self._read("stderr", process.stderr)),
        ]
        await process.wait()
        _, still = await asyncio.wait(reading, timeout=LAST_WORDS_SECONDS)
        for task in still:
            task.cancel()

    async def _read(self, stream: Stream, reader: asyncio.StreamReader | None) -> None:
        assert reader is not None
        async for line in reader:
            self.lines.append(Line(time.time_ns(), stream, line.rstrip(b"\n")))

    async def _end(self, process: Started) -> None:
        code = process.returncode or 0
        state = self.state
        state.status, state.pid, state.finished = "exited", 0, time.time_ns()
        state.exit_code = code if code >= 0 else 128 - code
        await self._health.end()


async def _start(program: Program, environment: Mapping[str, str] | None) -> Started:
    if program.forked_by is not None:
        return await ForkedProcess.start(
            program.forked_by, program.argv, environment or {}, errors_apart=True
        )
    return await start_child(
        program.argv,
        output=asyncio.subprocess.PIPE,
        errors=asyncio.subprocess.PIPE,
        environment=environment,
        user=program.user,
        folder=program.folder,
        dies_with_us_by=program.dies_with_us_by,
    )
