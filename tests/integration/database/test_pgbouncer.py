"""The database procedure through a real PgBouncer: looking leaves no trace, and a pooler that is full is named."""

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from temporalio.testing import ActivityEnvironment

from activities.postgres.activities import DatabaseActivities
from activities.postgres.connections import Databases
from sandbox.machine.processes import free_port
from tests.integration.database.test_database_real import VARIABLE, dsn, postgres, target  # noqa: F401 - fixtures
from tests.sandbox_under_test import until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("test_database_real")]


@contextmanager
def pooled(behind: str, monkeypatch, **settings: object):
    """PgBouncer before a database; the catalog's variable names it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "PgBouncer is not installed: run make set-up, or apt-get install pgbouncer"
    known, port = conninfo_to_dict(behind), free_port()
    lines = [
        "[databases]",
        f"{known['dbname']} = host={known['host']} port={known['port']} user={known['user']} password={known['password']}",
        "[pgbouncer]",
        *(f"{key} = {value}" for key, value in {
            "listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "any", **settings
        }.items()),
    ]  # fmt: skip
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to run as root
        pooler = stack.enter_context(
            subprocess.Popen([program, "-q", *as_nobody, folder / "pgbouncer.ini"], stderr=subprocess.DEVNULL)
        )
        stack.callback(pooler.terminate)
        through = f"postgresql://anybody@127.0.0.1:{port}/{known['dbname']}"
        until(lambda: _answers(through))
        monkeypatch.setenv(VARIABLE, through)
        yield through


def _answers(through: str) -> bool:
    try:
        psycopg.connect(through).close()
    except psycopg.OperationalError:
        return False
    return True


def _read():
    activities = DatabaseActivities(Databases(), samples=3)
    return ActivityEnvironment().run(activities.read_database, target())


async def test_looking_leaves_nothing_behind_on_a_connection_that_others_use_next(dsn, monkeypatch):  # noqa: F811
    with pooled(dsn, monkeypatch, pool_mode="transaction", default_pool_size=1) as through:
        assert _read().standing == "serves"
        with psycopg.connect(through, autocommit=True) as connection:
            connection.execute("CREATE TABLE left_by_nobody (x int)")
            connection.execute("DROP TABLE left_by_nobody")
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


async def test_a_pooler_without_room_is_full_and_named(dsn, monkeypatch):  # noqa: F811
    with pooled(dsn, monkeypatch, max_client_conn=1) as through, psycopg.connect(through):
        found = _read()
    assert found.standing == "pooler-full"
    assert "no more connections allowed" in found.why
