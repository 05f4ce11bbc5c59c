"""Temporal's server on a file, for one machine: what it has acknowledged outlives a loss of power."""

from __future__ import annotations

import asyncio
import shutil
import sys
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runbook_model.names.ids import SEARCH_ATTRIBUTES
from starter.exits import CliError, Exit, how_to_install
from starter.processes.managed_process import ManagedProcess

NAMESPACE = "default"
RETENTION = timedelta(days=90)
"""Reviews are written from histories: what is gone cannot be reviewed."""
UI_ABOVE = 1000
"""The UI's port is so much above Temporal's, as that of Temporal's own server for development."""
ANSWER_SECONDS = 3.0


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
