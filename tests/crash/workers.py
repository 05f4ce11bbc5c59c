"""The worker processes of one environment, as a supervisor keeps them: one that dies is replaced at once."""

import asyncio
import time
from itertools import count

from activities.runtime.processes import kill_child
from tests.patience import PATIENCE
from tests.programs import Program

READY = b"worker ready"
_numbers = count(1)


class Workers:
    """Some workers of one environment. Each is a process of its own, none outlives this one."""

    def __init__(self, environment, settings, folder):
        self._environment = environment
        self._settings = settings
        self._folder = folder
        self._running = {}

    @property
    def pids(self):
        return list(self._running)

    def start(self):
        """Start one more; it is ready when ``until_ready`` says so."""
        log = self._folder / f"worker-{next(_numbers):03}.log"
        with log.open("wb") as said:
            process = Program(
                "worker", "--environment", self._environment, environment=self._settings, log=said
            )
        self._running[process.pid] = process, log

    async def keep(self, wanted):
        """Bring their number to what is wanted, and wait until all are ready."""
        for pid in self.pids[wanted:]:
            self.kill(pid)
        while len(self._running) < wanted:
            self.start()
        await self.until_ready()

    async def until_ready(self):
        async with asyncio.timeout(PATIENCE):
            for process, log in list(self._running.values()):
                while READY not in log.read_bytes():
                    assert process.poll() is None, log.read_text()
                    await asyncio.sleep(0.02)

    def kill(self, pid):
        """SIGKILL, as a crash would; returns when, in seconds since 1970."""
        process, _ = self._running.pop(pid)
        at = time.time()
        kill_child(process)
        return at

    def ask_to_end(self, pid):
        """SIGTERM, as a deployment would; returns the process."""
        process, _ = self._running.pop(pid)
        process.terminate()
        return process

    def end(self):
        for pid in self.pids:
            self.kill(pid)
