"""Child processes that never outlive the sandbox, and the free ports that they listen on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import random
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from sandbox.machine.wire import Connections, PeerGoneError, request

_PORTS = range(20_000, 32_000)
"""Below the range from which Linux takes the ports of outgoing connections."""

_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

_kept: deque[socket.socket] = deque(maxlen=256)
"""The newest ports, each kept for the server that gets it: other sandboxes that choose one meanwhile find it taken."""


def free_port() -> int:
    """Return a loopback port that nobody has; only a server that sets ``SO_REUSEADDR``, as servers do, may listen there."""
    for port in random.sample(_PORTS, len(_PORTS)):
        kept = socket.socket()
        try:
            kept.bind(("127.0.0.1", port))
        except OSError:
            kept.close()
            continue
        # Set only now: nobody else's port is shared, and ours only with who asks to share it.
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _kept.append(kept)
        return port
    raise RuntimeError("no free port between 20000 and 32000; end what listens there")


def tied_to_parent(end_by: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """Return a hook for a child's first moment: the kernel ends it when the sandbox dies (Linux only).

    The kernel watches the *thread* that started the child: call from the main thread, whose end is the process's.
    """
    parent = os.getpid()

    def tie() -> None:
        if _libc is None:
            return
        _libc.prctl(_PR_SET_PDEATHSIG, int(end_by))
        if os.getppid() != parent:  # it died before the kernel was asked to watch it
            os._exit(1)

    return tie


async def start_child(  # noqa: PLR0913 - as many as a process has sides
    argv: Sequence[str],
    *,
    output: int | IO[bytes],
    errors: int | IO[bytes] = asyncio.subprocess.STDOUT,
    stdin: int | IO[bytes] = asyncio.subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    folder: Path | None = None,
    dies_with_us_by: signal.Signals = signal.SIGKILL,
) -> asyncio.subprocess.Process:
    """Start a program in its own process group, tied to this process's life.

    Args:
        argv: the program and its arguments.
        output: where it writes to.
        errors: where it writes its errors to; to the same place unless set.
        stdin: where it reads from.
        environment: all of its environment; ours when None.
        user: whom it runs as; us when None.
        folder: where it runs; where we do when None.
        dies_with_us_by: the signal that it gets when we die.
    """
    return await asyncio.create_subprocess_exec(
        *argv,
        stdin=stdin,
        stdout=output,
        stderr=errors,
        env=environment,
        cwd=folder,
        user=user,
        group=pwd.getpwnam(user).pw_gid if user else None,
        extra_groups=[] if user else None,
        start_new_session=True,  # a terminal's Ctrl-C reaches the sandbox only, which ends the rest in order
        preexec_fn=tied_to_parent(
            dies_with_us_by
        ),  # after a fork with threads about only safe because it does no more than prctl
    )


class Child(Protocol):
    """A process that the sandbox started."""

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        ...

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs."""
        ...

    async def wait(self) -> int:
        """Wait until it ends; returns its exit code."""
        ...


async def end_child(process: Child, grace_seconds: float, ends_by: signal.Signals = signal.SIGTERM) -> None:
    """Ask a process to end with a signal, and end its whole group with SIGKILL when it does not in time."""
    if process.returncode is not None:
        return
    signal_child(process, ends_by)
    try:
        async with asyncio.timeout(grace_seconds):
            await process.wait()
    except TimeoutError:
        signal_child(process, signal.SIGKILL)
        await process.wait()


def signal_child(process: Child, number: signal.Signals) -> None:
    """Send a signal to a child's process group; one that is gone needs none."""
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


START_TIMEOUT_SECONDS = 30.0


class Daemon:
    """A program that runs as long as the sandbox, with its output in a file of the sandbox's folder."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        folder: Path,
        *,
        user: str | None = None,
        runs_in: Path | None = None,
        ends_by: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Describe the program.

        Args:
            name: what it is called, here and in the name of its output's file.
            argv: the program and its arguments.
            folder: the sandbox's folder.
            user: whom it runs as; us when None.
            runs_in: the folder that it runs in.
            ends_by: the signal that asks it to end in order, also when the sandbox dies, if it is not the usual one.
        """
        self.name = name
        self.output = folder / f"{name}.log"
        self._argv = argv
        self._user = user
        self._runs_in = runs_in
        self._ends_by = ends_by
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the program runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def start(self) -> None:
        """Start the program; its output is appended to what an earlier start wrote."""
        with self.output.open("ab") as output:
            self._process = await start_child(
                self._argv,
                output=output,
                user=self._user,
                folder=self._runs_in,
                dies_with_us_by=signal.SIGKILL if self._ends_by is signal.SIGTERM else self._ends_by,
            )

    async def wait(self) -> int:
        """Wait until the program ends and return its exit code."""
        assert self._process is not None
        return await self._process.wait()

    async def watch(self) -> None:
        """Wait for as long as the program runs.

        Raises:
            DaemonDiedError: it ended.
        """
        await self.wait()
        self.check_alive()

    async def end(self, grace_seconds: float = 5.0) -> None:
        """End the program; one that never started is ended already."""
        if self._process is not None:
            await end_child(self._process, grace_seconds, self._ends_by)

    async def kill(self) -> None:
        """End the program with SIGKILL, as a crash would."""
        if self._process is not None:
            signal_child(self._process, signal.SIGKILL)
            await self._process.wait()

    async def wait_for_answer(
        self, address: str, path: str, *, seconds: float, containing: Sequence[bytes] = ()
    ) -> None:
        """Wait until the program answers 200 to a GET, with all of these words in the body.

        Raises:
            DaemonDiedError: it ended instead.
            TimeoutError: no such answer came in time.
        """
        question = request("GET", path, address)
        give_up_at = time.monotonic() + seconds
        async with Connections(address) as connections:
            while time.monotonic() < give_up_at:
                self.check_alive()
                try:
                    answer = await connections.exchange(question, seconds)
                    if answer.status == 200 and all(word in answer.body for word in containing):
                        return
                except PeerGoneError:
                    pass  # it does not listen yet
                await asyncio.sleep(0.03)
        raise TimeoutError(f"{self.name} was not ready after {seconds:.0f} s; see {self.output}")

    def check_alive(self) -> None:
        """Raise when the program ended by itself.

        Raises:
            DaemonDiedError: with the last lines that it wrote.
        """
        if self._process is not None and self._process.returncode is not None:
            last = self.output.read_text(errors="replace").splitlines()[-5:]
            raise DaemonDiedError(
                f"{self.name} ended with exit code {self._process.returncode}: {' | '.join(last) or 'it said nothing'}"
            )


class HttpDaemon(Daemon):
    """A program that answers HTTP on loopback, and is ready once it does."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path, *, address: str, ready: str) -> None:
        """Describe the program.

        Args:
            name: what it is called.
            argv: the program and its arguments.
            folder: the sandbox's folder.
            address: ``host:port``, where it listens.
            ready: the path that it answers with 200 once it is ready.
        """
        super().__init__(name, argv, folder)
        self.address = address
        self._ready = ready

    @property
    def url(self) -> str:
        """Where it answers, without trailing slash."""
        return f"http://{self.address}"

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            DaemonDiedError: it ended instead.
            TimeoutError: it did not get ready.
        """
        await super().start()
        await self.wait_for_answer(self.address, self._ready, seconds=START_TIMEOUT_SECONDS)


class DaemonDiedError(Exception):
    """A program that the sandbox needs ended by itself."""
