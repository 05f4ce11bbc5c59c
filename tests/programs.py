"""The product's programs as tests start them: forked from a process that has everything imported.

A worker or a command is then ready in a moment. Each is a process as it would be otherwise, in a process group of its
own, and ends with the test process. How the programs start from nothing is what ``tests/unit/starter`` looks at.
"""

import asyncio
import os
import select
import signal
import subprocess
from functools import cache

from sandbox.machine.forking import ForkedProcess, ForkServer


@cache
def _server():
    return ForkServer("tests.forked_product")


class Program:
    """A program of the product, as ``subprocess.Popen`` shows a process."""

    def __init__(self, *argv, environment, log):
        """Start it; it writes to an open file."""
        self._status = _server().fork(argv, environment, log.fileno(), log.fileno())
        self._lines = os.fdopen(self._status, "rb", 0)
        self.pid = int(self._lines.readline())
        self.returncode = None

    def poll(self):
        return self._look(0)

    def wait(self, timeout=None):
        if self._look(timeout) is None:
            raise subprocess.TimeoutExpired("a program", timeout)
        return self.returncode

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, seconds):
        if self.returncode is None and select.select([self._lines], [], [], seconds)[0]:
            self.returncode = int(self._lines.readline())
            self._lines.close()
        return self.returncode


class Command(ForkedProcess):
    """A command line under way, as ``asyncio.subprocess.Process`` shows a process."""

    @classmethod
    async def begin(cls, *words, environment):
        return await cls.start(_server(), ["runbook", *words], environment, errors_apart=True)

    async def communicate(self):
        out, err, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, err

    def send_signal(self, number):
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)
