"""A program of the product that runs next to a sandbox as our child: a worker, a webhook."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from activities.runtime.processes import kill_child, start_child, stop_child
from starter.exits import CliError, Exit

READY_SECONDS = 60.0
GRACE_SECONDS = 15.0


class ManagedProcess:
    """The program while it runs, and its log, which outlives it."""

    def __init__(self, name: str, words: tuple[str, ...], log: Path) -> None:
        """Describe it.

        Args:
            name: what it is called; it says ``<name> ready`` when it is.
            words: the module, and what it is given.
            log: where it writes.
        """
        self.name = name
        self.log = log
        self._argv = [sys.executable, "-P", "-m", *words]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it and wait until it is ready.

        Raises:
            CliError: it ended instead, or is not ready in time.
        """
        with self.log.open("ab") as log:
            before = log.tell()
            self._process = start_child(self._argv, environment=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while f"{self.name} ready" not in self._log_since(before):
            self.check()
            if time.monotonic() > deadline:
                raise CliError(
                    Exit.NOT_DONE, f"the {self.name} is not ready after {READY_SECONDS:.0f} s: {self.log}"
                )
            time.sleep(0.05)

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            kill_child(self._process)
            self._process = None

    def stop(self) -> None:
        """End it in order; one that does not run is ended already."""
        if self._process is not None:
            stop_child(self._process, GRACE_SECONDS)
            self._process = None

    def check(self) -> None:
        """Raise when it has ended by itself.

        Raises:
            CliError: with its exit code, and its last words.
        """
        if why := self.lost():
            raise CliError(Exit.NOT_DONE, why)

    def lost(self) -> str | None:
        """Say, once, that it has ended by itself, with its exit code and its last words."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._process = None
        last = " | ".join(self._log_since(0).splitlines()[-3:])
        return f"the {self.name} ended unexpectedly (exit code {code}): {last}"

    def _log_since(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")
