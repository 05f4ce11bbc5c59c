"""An image as the engine imports it: a few files, and what its containers see of this machine."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USERS = {"root": 0, "temporal": 1000, "postgres": 999, "grafana": 472, "runbooks": 10001, "nobody": 65534}
FOLDERS = ("etc", "root", "usr", "run", "var/run", "proc", "sys", "dev")
LIBRARIES = ("/usr/lib", "/usr/lib64")
DEBIAN = (*LIBRARIES, "/usr/bin", "/usr/share")
DEBIAN_LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}


@dataclass
class Image:
    """What an image holds, by paths without the first slash, and what it sees of this machine."""

    instructions: Iterable[str]
    """As in a Dockerfile."""
    files: dict[str, bytes] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()
    """Those of the files that cannot be executed."""
    folders: dict[str, str] = field(default_factory=dict)
    """Those that belong to somebody else than root."""
    links: dict[str, str] = field(default_factory=dict)
    sees: dict[str, str] = field(default_factory=dict)
    """Paths that a container has read-only, and what of this machine is there."""

    def as_tar(self) -> bytes:
        """Write it down as the engine takes it."""
        buffer = io.BytesIO()
        people = {
            "etc/passwd": "".join(f"{name}:x:{number}:{number}::/tmp:/bin/sh\n" for name, number in USERS.items()),
            "etc/group": "".join(f"{name}:x:{number}:\n" for name, number in USERS.items()),
        }  # fmt: skip
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path in FOLDERS:
                tar.addfile(_entry(path, tarfile.DIRTYPE))
            tar.addfile(_entry("tmp", tarfile.DIRTYPE, mode=0o1777))
            for path, owner in self.folders.items():
                tar.addfile(_entry(path, tarfile.DIRTYPE, mode=0o750, owner=USERS[owner]))
            for path, target in self.links.items():
                tar.addfile(_entry(path, tarfile.SYMTYPE, target=target))
            for path, content in (
                self.files | {name: text.encode() for name, text in people.items()}
            ).items():
                mode = 0o644 if path in self.plain else 0o755
                tar.addfile(_entry(path, tarfile.REGTYPE, mode=mode, size=len(content)), io.BytesIO(content))
        return buffer.getvalue()


def _entry(path: str, kind: bytes, *, mode: int = 0o755, owner: int = 0, size: int = 0, target: str = ""):
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, size, target
    entry.uid = entry.gid = owner
    return entry


def program(*names: str) -> str:
    """Return where this machine has a program, by the first of its names that is there."""
    for name in names:
        if found := shutil.which(name):
            return str(Path(found).resolve())
    pytest.fail(f"this test needs {names[0]}: run `make set-up`, or install Debian's package of it")


def postgres_programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.fail("this test needs PostgreSQL: run `make set-up`, or install Debian's package postgresql")
    return found[-1].parent
