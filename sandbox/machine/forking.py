"""A process that has imported a program and forks itself for every start: each then takes milliseconds.

``python -m sandbox.machine.forking MODULE`` is that process. A request is one byte on its stdin, a socket, with four file
descriptors: what to run (JSON), stdout, stderr, and a pipe that gets the process id and later the exit code.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from sandbox.machine.processes import tied_to_parent

_FDS = 4
_DEAD = -signal.SIGKILL
"""The exit code of a child whose fork server was killed: the kernel killed the child with it."""


class ForkServer:
    """Starts processes of one program; it ends when this process does, and all that it started end with it."""

    def __init__(self, module: str) -> None:
        """Start it; ``main()`` of the module is what each process runs."""
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, module],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fork(self, argv: Sequence[str], environment: Mapping[str, str], stdout: int, stderr: int) -> int:
        """Start a process; returns what it is known by: a pipe with a line for its id and one for its exit code."""
        asked, asking = os.pipe()
        status, telling = os.pipe()
        try:
            socket.send_fds(self._control, [b"!"], [asked, stdout, stderr, telling])
        finally:
            os.close(asked)
            os.close(telling)
        with open(asking, "w", encoding="utf-8") as request, suppress(BrokenPipeError):  # noqa: PTH123 - a descriptor
            json.dump({"argv": [*argv], "environment": {**environment}}, request)
        return status

    def end(self) -> None:
        """End it, and all that it started with it."""
        self._control.close()
        self._process.wait()


class ForkedProcess:
    """A process of a fork server, as ``asyncio.subprocess.Process`` shows one."""

    def __init__(self, pid: int, status: asyncio.StreamReader) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._life = asyncio.create_task(self._follow(status))

    @classmethod
    async def start(
        cls,
        server: ForkServer,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        errors_apart: bool = False,
    ) -> ForkedProcess:
        """Start a process whose output is read here, its errors with it unless they are wanted apart."""
        out, output = os.pipe()
        err, errors = os.pipe() if errors_apart else (None, output)
        status = server.fork(argv, environment, output, errors)
        os.close(output)
        if err is not None:
            os.close(errors)
        reader = await _reader(status)
        process = cls(int(await reader.readline()), reader)
        process.stdout = await _reader(out)
        process.stderr = await _reader(err) if err is not None else None
        return process

    async def wait(self) -> int:
        """Wait until it ends; returns its exit code."""
        await asyncio.shield(self._life)
        assert self.returncode is not None
        return self.returncode

    async def _follow(self, status: asyncio.StreamReader) -> None:
        self.returncode = int(await status.readline() or _DEAD)


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


def main() -> int:
    """Serve forks until the one who asks for them is gone; in each fork, run the program."""
    program = importlib.import_module(sys.argv[1])
    gc.collect()
    gc.freeze()  # else the first collection in each fork would copy every page of what was imported
    control = socket.socket(fileno=os.dup(0))
    woken, waking = os.pipe()
    for end in (woken, waking):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking)
    tie = tied_to_parent()  # whoever is forked from here
    children: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _send_ends(children)
        if control.fileno() in ready:
            byte, descriptors, _, _ = socket.recv_fds(control, 1, _FDS)
            if not byte:
                os._exit(0)
            if not (pid := os.fork()):
                tie()
                for item in (control.detach(), woken, waking, *children.values(), descriptors[3]):
                    os.close(item)
                _become(*descriptors[:3])
                _run(program.main)
            children[pid] = descriptors[3]
            _send(descriptors[3], pid)
            for descriptor in descriptors[:3]:
                os.close(descriptor)


def _run(program: Callable[[], int]) -> NoReturn:
    """Run a program to its end, as the interpreter would, but for taking all apart that was imported: that takes long."""
    try:
        code = program()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter shows it
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 - waits for threads, as the interpreter does
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _send_ends(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        telling = children.pop(pid)
        _send(telling, os.waitstatus_to_exitcode(status))
        os.close(telling)


def _send(descriptor: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(descriptor, f"{number}\n".encode())


def _become(asked: int, output: int, errors: int) -> None:
    """Turn a fork into the process that is asked for, in a process group of its own."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for ours, usual in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(ours, usual)
        os.close(ours)
    # What Python made of the fork server's own output does not know that this is a pipe, or a file.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - a descriptor
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    with open(asked, encoding="utf-8") as request:
        wanted = json.load(request)
    sys.argv = wanted["argv"]
    os.environ.clear()
    os.environ.update(wanted["environment"])


if __name__ == "__main__":
    sys.exit(main())
