"""The product on one machine: Temporal's server on a file, a worker and the webhook, each started again when it ends."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runbook_model.names.ids import RETENTION, SEARCH_ATTRIBUTES
from starter.exits import CliError, Exit, bad_input, how_to_install
from starter.processes.listening import Address, bind
from starter.processes.managed_process import ManagedProcess, ours
from starter.webhook.guard import TOKEN, TOKEN_FILE

NAMESPACE = "default"
UI_ABOVE = 1000
"""The UI's port is so much above Temporal's, as that of Temporal's own server for development."""
ANSWER_SECONDS = 3.0
LONGEST_PAUSE_SECONDS = 60.0
GOOD_WHILE_SECONDS = 300.0
"""A part that ran so long is started again at once; one that ends sooner and sooner waits longer each time."""
WORKER_GRACE_SECONDS = 60.0
"""Longer than a worker itself waits for a change that is under way."""


class TemporalOnFile(ManagedProcess):
    """The server and its UI, on loopback only."""

    def __init__(self, folder: Path, port: int) -> None:
        """Describe it.

        Args:
            folder: where its file and its log are.
            port: where it answers; its UI is 1000 above.

        Raises:
            CliError: the program is not installed.
        """
        self.address = f"127.0.0.1:{port}"
        self.ui = f"http://127.0.0.1:{port + UI_ABOVE}"
        super().__init__("Temporal server", _argv(folder / "temporal.db", port), folder / "temporal.log")

    def is_ready(self) -> bool:
        """Whether it answers and keeps what has ended for 90 days."""
        return asyncio.run(_keeps_histories(self.address))


async def _keeps_histories(address: str) -> bool:
    """Have the namespace keep what has ended; whether it could be reached."""
    kept = NamespaceConfig(
        workflow_execution_retention_ttl=Duration(seconds=round(RETENTION.total_seconds()))
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            client = await Client.connect(address)
            await client.workflow_service.update_namespace(
                UpdateNamespaceRequest(namespace=NAMESPACE, config=kept)
            )
    except (TimeoutError, RuntimeError, RPCError):  # the SDK's words for a server that is only starting
        return False
    return True


def _argv(file: Path, port: int) -> list[str]:
    argv = [_program(), "server", "start-dev", "--ip", "127.0.0.1", "--db-filename", str(file)]
    argv += ["--port", str(port), "--ui-port", str(port + UI_ABOVE), "--log-level", "warn"]
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):  # on disk before it is acknowledged
        argv += ["--sqlite-pragma", pragma]
    for key in SEARCH_ATTRIBUTES:
        argv += ["--search-attribute", f"{key.name}=Keyword"]
    return argv


def _program() -> str:
    """Return the program that the extra put next to the interpreter, else the one on PATH."""
    bundled = Path(sys.executable).with_name("temporal")
    found = str(bundled) if bundled.exists() else shutil.which("temporal")
    if found is None:
        raise CliError(Exit.NOT_DONE, "there is no program `temporal` to serve with", how_to_install("serve"))
    return found


@dataclass
class Part:
    """One program, and when it may be started again."""

    program: ManagedProcess
    started: float = 0.0
    pause: float = 0.0
    due: float | None = None
    """When it is to be started again; None while it runs."""


class Machine:
    """Everything that one machine needs, in one folder. Call from the main thread, whose end the children do not survive."""

    def __init__(self, data: Path, catalog: Path, port: int, listen: Address) -> None:
        """Prepare it.

        Args:
            data: the folder of everything that must outlive a restart.
            catalog: the catalog.
            port: Temporal's; its UI is 1000 above.
            listen: where the webhook listens.

        Raises:
            CliError: another one uses the folder, a port is taken, or a program is not installed.
        """
        self.data = data
        self._catalog = catalog
        self._lock = _locked(data)
        self._temporal = TemporalOnFile(data, port)
        ports = (port, port + UI_ABOVE)
        if listen.port in ports:
            raise bad_input(f"--listen {listen.url} has the port of Temporal or its UI", "choose another")
        for number in ports:
            bind(Address("127.0.0.1", number), "--port").close()
        with bind(listen) as listener:
            self._listen = Address(listen.host, listener.getsockname()[1])
        where = f"{self._listen.host}:{self._listen.port}"
        self._parts = [
            Part(self._temporal),
            Part(ManagedProcess("worker", ours("worker"), data / "worker.log", WORKER_GRACE_SECONDS)),
            Part(
                ManagedProcess("webhook", ours("starter", "webhook", "--listen", where), data / "webhook.log")
            ),
        ]

    @property
    def addresses(self) -> dict[str, object]:
        """What ``serve --json`` prints; ``env`` is what another shell must export."""
        return {
            "temporal": self._temporal.address,
            "ui": self._temporal.ui,
            "alerts": f"{self._listen.url}/alerts",
            "catalog": str(self._catalog),
            "data": str(self.data),
            "env": self.environment,
        }

    @property
    def environment(self) -> dict[str, str]:
        """What another shell must export."""
        return {
            "TEMPORAL_ADDRESS": self._temporal.address,
            "RUNBOOK_CATALOG": str(self._catalog),
            "RUNBOOK_REVIEWS": str(self._reviews),
            "RUNBOOK_UI": os.environ.get("RUNBOOK_UI") or self._temporal.ui,
        }

    @property
    def token_file(self) -> Path | None:
        """The file with the webhook's token, where we made it; None where the environment brings one."""
        return None if os.environ.get(TOKEN) or os.environ.get(TOKEN_FILE) else self.data / "webhook-token"

    def start(self) -> None:
        """Start all parts, each when the one before it is ready.

        Raises:
            CliError: one does not get ready.
        """
        _make_token(self.token_file)
        for part in self._parts:
            self._start(part)

    def look_after(self, say: Callable[[str], None]) -> None:
        """Start again what has ended, and say so; what ends again and again waits longer and longer."""
        for part in self._parts:
            now = time.monotonic()
            if part.due is None and (why := part.program.lost()):
                part.pause = 0.0 if now - part.started > GOOD_WHILE_SECONDS else _longer(part.pause)
                part.due = now + part.pause
                say(f"{why}; it is started again {_when(part.pause)}")
            if part.due is not None and now >= part.due:
                try:
                    self._start(part)
                except CliError as error:
                    part.program.kill()
                    part.pause = _longer(part.pause)
                    part.due = time.monotonic() + part.pause
                    say(f"{error}; tried again {_when(part.pause)}")

    def end(self) -> None:
        """End all parts in order; runs continue with the next start."""
        for part in reversed(self._parts):
            part.program.stop()
        os.close(self._lock)

    @property
    def _reviews(self) -> Path:
        return Path(os.environ.get("RUNBOOK_REVIEWS") or self.data / "reviews")

    def _start(self, part: Part) -> None:
        part.started, part.due = time.monotonic(), None
        part.program.start(self._of_parts())

    def _of_parts(self) -> Mapping[str, str]:
        """Return the parts' environment: ours, with no Temporal but this one."""
        profile = self.data / "temporal.toml"  # empty: a profile of the user's may name another server
        profile.touch()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        return inherited | {
            **self.environment,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": str(profile),
            **({TOKEN_FILE: str(self.token_file)} if self.token_file else {}),
        }


def _when(pause: float) -> str:
    return f"in {pause:.0f} s" if pause else "now"


def _longer(pause: float) -> float:
    return min(max(1.0, 2 * pause), LONGEST_PAUSE_SECONDS)


def _locked(data: Path) -> int:
    """Make the folder, and keep everybody else's `serve` out of it for as long as this process lives."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise bad_input(f"--data {data}: {error.strerror}", "name a folder that you may write to") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CliError(
            Exit.REFUSED, f"another `runbook serve` uses {data}", "end it, or name another folder with --data"
        ) from None
    return lock


def _make_token(file: Path | None) -> None:
    """Make the webhook's token where none was given; the next start finds it."""
    if file is not None and not (file.exists() and file.read_text(encoding="ascii").strip()):
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
