"""Who holds the lock of Terraform's state, read from its error, and whether that run still lives."""

from __future__ import annotations

import os
import pwd
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FIELD = re.compile(r"^\s*(ID|Who|Operation|Created):\s+(\S.*?)\s*$", re.MULTILINE)

OTHER_HOLDER = re.compile(r"already locked: ID=(\S+)")

RUNNING = frozenset({"terraform", "tofu"})

PROCESSES = Path("/proc")


@dataclass(frozen=True)
class Lock:
    """A lock that somebody holds."""

    id: str
    who: str = ""
    """``user@host``; empty where the backend does not say."""
    operation: str = ""
    created: str = ""

    @property
    def summary(self) -> str:
        """Who holds it, as text."""
        doing = f" for {self.operation.removeprefix('OperationType').lower()}" if self.operation else ""
        since = f" since {self.created[:19]} UTC" if self.created else ""
        return f"Terraform's state is locked by {self.who or 'somebody'}{doing}{since} (lock {self.id})"

    @property
    def is_left_behind(self) -> bool:
        """Whether it was taken by our own user on this machine, where no Terraform runs any more.

        Whether a holder elsewhere lives cannot be seen from here.
        """
        ours = f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}"
        return self.who == ours and PROCESSES.is_dir() and not _runs_here()

    def fix(self, command: str) -> str:
        """Return what a person must do when the holder is gone.

        Args:
            command: how a person runs the module's program.
        """
        return f"check whether that run is still alive; only if it is not: {command} force-unlock {self.id}"


def read_lock(detail: str) -> Lock:
    """Read the holder from Terraform's error."""
    found: dict[str, str] = dict(FIELD.findall(detail))
    if other := OTHER_HOLDER.search(detail):
        # The HTTP backend names the holder's id and then describes the one who asked.
        return Lock(id=other[1])
    return Lock(
        id=found.get("ID", "unknown"),
        who=found.get("Who", ""),
        operation=found.get("Operation", ""),
        created=found.get("Created", ""),
    )


def _runs_here() -> bool:
    for process in PROCESSES.glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended meanwhile
            if process.read_text(encoding="ascii", errors="replace").strip() in RUNNING:
                return True
    return False
