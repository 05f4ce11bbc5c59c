"""What a sandbox of the product consists of: programs that run next to it as our children, and keys made on the spot."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from activities.runtime.processes import kill_child, start_child, stop_child
from starter.exits import CliError, Exit


def make_keys(folder: Path, people: Iterable[str]) -> Path:
    """Make a key for each person, without passphrase, and return the file that says whose they are.

    Keys that are there already stay as they are.

    Raises:
        CliError: there is no ssh-keygen, or it failed.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = []
    for person in people:
        key = folder / person
        if not key.exists():
            _make(key, person)
        kind, public, *_ = key.with_name(f"{person}.pub").read_text().split()
        lines.append(f"{person} {kind} {public}\n")
    signers = folder / "allowed_signers"
    signers.write_text("".join(lines))
    return signers


def _make(key: Path, person: str) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(key)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CliError(
            Exit.NOT_DONE, "ssh-keygen is not on this machine", "install OpenSSH's client"
        ) from None
    if made.returncode != 0:
        raise CliError(Exit.NOT_DONE, f"ssh-keygen made no key: {made.stderr.strip()}")


READY_SECONDS = 60.0

GRACE_SECONDS = 15.0


def ours(*words: str) -> tuple[str, ...]:
    """Return the command of one of the product's own modules."""
    return (sys.executable, "-P", "-m", *words)


class ManagedProcess:
    """The program while it runs, and its log, which outlives it."""

    def __init__(
        self, name: str, argv: Sequence[str], log: Path, grace_seconds: float = GRACE_SECONDS
    ) -> None:
        """Describe it.

        Args:
            name: what it is called; it says ``<name> ready`` when it is.
            argv: the program and its arguments.
            log: where it writes.
            grace_seconds: how long it may take to end in order.
        """
        self.name = name
        self.log = log
        self._argv = argv
        self._grace_seconds = grace_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._log_began = 0

    def start(self, environment: Mapping[str, str]) -> None:
        """Start it and wait until it is ready.

        Raises:
            CliError: it ended instead, or is not ready in time.
        """
        with self.log.open("ab") as log:
            self._log_began = log.tell()
            self._process = start_child(self._argv, environment=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise CliError(
                    Exit.NOT_DONE, f"the {self.name} is not ready after {READY_SECONDS:.0f} s: {self.log}"
                )
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """Whether it is ready; asked until it is."""
        return f"{self.name} ready" in self._said()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            kill_child(self._process)
            self._process = None

    def stop(self) -> None:
        """End it in order; one that does not run is ended already."""
        if self._process is not None:
            stop_child(self._process, self._grace_seconds)
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
        last = " | ".join(self._said().splitlines()[-3:])
        return f"the {self.name} ended unexpectedly (exit code {code}): {last}"

    def _said(self) -> str:
        """Return what it wrote since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_began)
            return log.read().decode(errors="replace")


class Ends(Protocol):
    """What ends its children in order."""

    def end(self) -> None:
        """End them all."""


T = TypeVar("T", bound=Ends)


@contextlib.contextmanager
def ends_in_order(parts: T) -> Iterator[T]:
    """End our children however we leave: SIGTERM counts as Ctrl-C, and a second one does not cut the ending short."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, interrupt)
    try:
        yield parts
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        parts.end()
