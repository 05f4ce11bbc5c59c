"""The files of a PostgreSQL server that was never started: made once, kept for later sandboxes, and copied.

PostgreSQL refuses to run as root. Where the sandbox does, the files belong to another user.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import secrets
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from sandbox.machine.processes import signal_child, start_child

DATABASE = "ai_processor"
"""The service's database, and the role that the service connects as."""
OPERATOR = "runbook"
"""The product's role: a superuser, as in every version only those get the connections that are held back."""
STATEMENTS = "pg_stat_statements"
LOGINS = f"""\
host all {DATABASE} 127.0.0.1/32 trust
host all {OPERATOR} 127.0.0.1/32 scram-sha-256
"""
INITDB = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--wal-segsize=1", "--no-sync")
PASSWORD = "operator.password"  # noqa: S105 - the name of a file


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs: Debian's newest version, else the one on PATH; None without any."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def has_statements(programs: Path) -> bool:
    """Whether the server can keep statistics of statements."""
    return (programs.parent / "lib" / f"{STATEMENTS}.so").exists()


def unprivileged_user() -> str | None:
    """Return whom to run as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def make_folder(folder: Path, user: str | None) -> Path:
    """Make a folder for servers: inside of the given one, unless another user has to reach it."""
    if user is None:
        made = folder / "postgres"
        made.mkdir(mode=0o700, exist_ok=True)
        return made
    made = Path(tempfile.mkdtemp(prefix="runbook-sandbox-postgres-", dir=_open_folder()))
    owner = pwd.getpwnam(user)
    os.chown(made, owner.pw_uid, owner.pw_gid)
    return made


async def make_files(programs: Path, folder: Path, user: str | None) -> str:
    """Make the files of a server in a folder; return the operator's password.

    Raises:
        RuntimeError: PostgreSQL's programs fail.
    """
    kept = _kept(programs, user)
    if not (kept / PASSWORD).exists():
        await _initialise(programs, folder, user)
        await _keep(folder, kept)
    else:
        await run("cp", "-a", str(kept), str(folder))
    return (folder / PASSWORD).read_text()


async def run(
    *argv: str, user: str | None = None, stdin: int | IO[bytes] = asyncio.subprocess.DEVNULL
) -> None:
    """Run a program to its end.

    Raises:
        RuntimeError: it failed, with what it said.
    """
    process = await start_child(
        argv, stdin=stdin, output=asyncio.subprocess.PIPE, user=user, folder=Path("/")
    )
    try:
        said, _ = await process.communicate()
    finally:
        signal_child(process, signal.SIGKILL)  # when we are cancelled; otherwise it is gone
    if process.returncode:
        raise RuntimeError(f"{Path(argv[0]).name}: {said.decode(errors='replace').strip()}")


async def _initialise(programs: Path, folder: Path, user: str | None) -> None:
    password = secrets.token_urlsafe(12)
    given = _write(folder.with_suffix(".password"), password, user)
    where = ("-D", str(folder))
    options = (f"--username={OPERATOR}", f"--pwfile={given}", *INITDB)
    await run(str(programs / "initdb"), *where, *options, user=user)
    (folder / "pg_hba.conf").write_text(LOGINS)
    given.rename(folder / PASSWORD)
    # Without a server: statements come from stdin, a line each.
    statements = _write(folder.with_suffix(".sql"), _statements(programs), user)
    with statements.open("rb") as stdin:
        await run(str(programs / "postgres"), "--single", "-F", *where, "template1", user=user, stdin=stdin)


def _statements(programs: Path) -> str:
    """Write what is run in ``template1``: every new database has what that has."""
    extension = (f"CREATE EXTENSION {STATEMENTS};",) if has_statements(programs) else ()
    lines = (
        *extension,
        f"CREATE ROLE {DATABASE} LOGIN;",
        "CREATE TABLE settings AS SELECT 'model' AS name, 'small' AS value;",
        f"ALTER TABLE settings OWNER TO {DATABASE};",
        f"CREATE DATABASE {DATABASE} OWNER {DATABASE};",
    )
    return "\n".join((*lines, ""))


async def _keep(folder: Path, kept: Path) -> None:
    """Keep a copy for later sandboxes; without a place to keep it, the next one makes its own."""
    with suppress(OSError, RuntimeError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(dir=kept.parent))
        try:
            await run("cp", "-a", str(folder), str(copy / "files"))
            (copy / "files").rename(kept)  # fails where another sandbox was faster
        finally:
            shutil.rmtree(copy, ignore_errors=True)


def _kept(programs: Path, user: str | None) -> Path:
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made_by = (programs, (programs / "initdb").stat().st_mtime, user, LOGINS, INITDB, _statements(programs))
    return caches / "runbook-sandbox" / f"postgres-{hashlib.sha256(repr(made_by).encode()).hexdigest()[:12]}"


def _write(path: Path, text: str, user: str | None) -> Path:
    path.touch(mode=0o600)
    if user is not None:
        os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    path.write_text(text)
    return path


def _version(program: Path) -> int:
    name = program.parents[1].name
    return int(name) if name.isdecimal() else 0


def _open_folder() -> str:
    """Return a folder for temporary files that every user can reach: TMPDIR may lie in one of root's own."""
    candidates = (Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - mkdtemp goes inside
    for folder in candidates:
        if all(item.stat().st_mode & 0o001 for item in (folder, *folder.parents)):
            return str(folder)
    raise RuntimeError("no folder for temporary files that PostgreSQL's user can reach")
