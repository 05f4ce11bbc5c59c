"""A sandbox and its worker, as child processes that end with us."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from activities.processes import kill_child, start_child, stop_child
from starter.exits import CliError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = ("TEMPORAL_", "AWS_", "RUNBOOK_")
"""What a person's shell may point at the real world with; none of it reaches a sandbox."""
KEYS = ("temporal", "ui", "aws", "service", "prometheus", "catalog", "env")
WORKER_READY = "worker ready"
WORKER_READY_SECONDS = 60.0
WORKER_GRACE_SECONDS = 10.0
SANDBOX_GRACE_SECONDS = 15.0


class World:
    """A sandbox of our own. Call from the main thread, whose end the children do not survive."""

    def __init__(self) -> None:
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._all: dict[str, Any] = {}

    @property
    def addresses(self) -> dict[str, Any]:
        """What the contract says that ``up --json`` prints."""
        return {key: self._all[key] for key in KEYS}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything that talks to this world."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        return {**inherited, **self._all["env"]}

    @property
    def worker_log(self) -> Path:
        """Where the worker writes."""
        return Path(self._all["folder"]) / "worker.log"

    def start(self, *options: str) -> None:
        """Start the sandbox and wait until it is ready.

        Raises:
            CliError: it ended instead; it said why on stderr.
        """
        self._sandbox = start_child(
            [sys.executable, "-m", "sandbox", "up", "--json", "--until-stdin-closes", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            dies_with_us_by=signal.SIGTERM,  # it has children of its own to end
        )
        assert self._sandbox.stdout is not None
        line = self._sandbox.stdout.readline()
        if not line:
            code = self._sandbox.wait()
            raise CliError(Exit.NOT_DONE, f"the sandbox ended before it was ready (exit code {code})")
        self._all = json.loads(line)
        self._all["env"].setdefault("RUNBOOK_UI", self._all["ui"])

    def start_worker(self) -> None:
        """Start a worker and wait until it is ready.

        Raises:
            CliError: it ended instead, or is not ready in time.
        """
        with self.worker_log.open("ab") as log:
            before = log.tell()
            self._worker = start_child(
                [sys.executable, "-m", "worker"], environment=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + WORKER_READY_SECONDS
        while WORKER_READY not in self._log_since(before):
            self.check()
            if time.monotonic() > deadline:
                raise CliError(
                    Exit.NOT_DONE,
                    f"the worker is not ready after {WORKER_READY_SECONDS:.0f} s: {self.worker_log}",
                )
            time.sleep(0.05)

    def kill_worker(self) -> None:
        """End the worker with SIGKILL, as a crash would."""
        if self._worker is not None:
            kill_child(self._worker)
            self._worker = None

    def check(self) -> None:
        """Raise when a part has ended by itself.

        Raises:
            CliError: with its exit code, and the worker's last words.
        """
        if self._sandbox is not None and (code := self._sandbox.poll()) is not None:
            raise CliError(Exit.NOT_DONE, f"the sandbox ended by itself (exit code {code})")
        if self._worker is not None and (code := self._worker.poll()) is not None:
            last = " | ".join(self._log_since(0).splitlines()[-3:])
            raise CliError(Exit.NOT_DONE, f"the worker ended by itself (exit code {code}): {last}")

    def end(self) -> None:
        """End the worker, then the sandbox, each in order."""
        if self._worker is not None:
            stop_child(self._worker, WORKER_GRACE_SECONDS)
        if self._sandbox is not None:
            assert self._sandbox.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it is gone already
                self._sandbox.stdin.close()
            stop_child(self._sandbox, SANDBOX_GRACE_SECONDS)

    def _log_since(self, offset: int) -> str:
        with self.worker_log.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")


@contextlib.contextmanager
def ends_in_order(world: World) -> Iterator[World]:
    """End a world however we leave: SIGTERM counts as Ctrl-C, and a second one does not cut the ending short."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, interrupt)
    try:
        yield world
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        world.end()
