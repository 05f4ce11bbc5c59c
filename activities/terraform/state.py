"""Where state lies: that of a module in its backend, with whoever holds its lock, and that in plan files, which nobody else may read."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import re
import shutil
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runbook_model.errors import InputError

IDENTITY = (
    "bucket", "key", "prefix", "workspace_key_prefix", "path", "address", "hostname", "organization", "workspaces",
    "storage_account_name", "container_name", "secret_suffix", "namespace", "conn_str", "schema_name",
)  # fmt: skip
"""What tells states of one kind of backend apart; the rest is how it is reached, and by whom."""

PASSWORD = re.compile(r"(?<=://)[^@/]*@")

KEPT = timedelta(days=1)
"""A plan that nobody applied is removed after this; it can be made again."""

WORKPLACE = "work-"

FIELD = re.compile(r"^\s*(ID|Who|Operation|Created):\s+(\S.*?)\s*$", re.MULTILINE)
OTHER_HOLDER = re.compile(r"already locked: ID=(\S+)")
RUNNING = frozenset({"terraform", "tofu"})
PROCESSES = Path("/proc")


def state_of(directory: Path, environment: Mapping[str, str]) -> str:
    """Return the hash that names a module's state, once it is initialised.

    Args:
        directory: the module's.
        environment: what the program is run with.
    """
    data = directory / environment.get("TF_DATA_DIR", ".terraform")
    kind, config = _backend(data)
    if kind == "local":
        config = {"path": str((directory / str(config.get("path") or "terraform.tfstate")).resolve())}
    found = {name: config[name] for name in IDENTITY if config.get(name)}
    essence = json.dumps([kind, found, _workspace(data, environment)], sort_keys=True)
    return hashlib.sha256(PASSWORD.sub("", essence).encode()).hexdigest()[:32]


def _backend(data: Path) -> tuple[str, dict[str, Any]]:
    """Read what ``init`` wrote down; a module without a backend keeps its state next to itself."""
    try:
        written = json.loads((data / "terraform.tfstate").read_bytes())["backend"]
        return str(written["type"]), dict(written["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return "local", {}


def _workspace(data: Path, environment: Mapping[str, str]) -> str:
    if chosen := environment.get("TF_WORKSPACE"):
        return chosen
    try:
        return (data / "environment").read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


class PlanStore:
    """A private folder with one file for each run and hash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, run_id: str, plan_hash: str) -> Path:
        """Return where the plan of a run lies, or would."""
        return self._open() / f"{_plain(run_id)}-{_plain(plan_hash)}.tfplan"

    def keep(self, made: Path, run_id: str, plan_hash: str) -> Path:
        """Take a plan in; a reader finds it whole or not at all. Old ones are removed."""
        self._forget_old()
        made.chmod(0o600)
        return made.replace(self.path(run_id, plan_hash))

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """Give a private folder for one run of Terraform: what it says may be secret too."""
        with TemporaryDirectory(dir=self._open(), prefix=WORKPLACE) as folder:
            yield Path(folder)

    def _open(self) -> Path:
        """Return the folder, made if need be.

        Raises:
            InputError: it is not ours alone.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._folder.lstat()
        except OSError as error:
            raise InputError(f"RUNBOOK_PLAN_STORE = {self._folder}: {error.strerror}") from None
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise InputError(
                f"RUNBOOK_PLAN_STORE = {self._folder}: others may read it, and plans hold secrets",
                fix="give the worker a folder of its own with mode 0700",
            )
        return self._folder

    def _forget_old(self) -> None:
        for left in self._open().iterdir():
            with suppress(FileNotFoundError):  # another worker was faster
                if time.time() - left.stat().st_mtime < KEPT.total_seconds():
                    continue
                if left.suffix == ".tfplan":
                    left.unlink()
                elif left.name.startswith(WORKPLACE):  # its worker was killed
                    shutil.rmtree(left, ignore_errors=True)


def _plain(name: str) -> str:
    return re.sub(r"[^\w-]", "_", name)


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
