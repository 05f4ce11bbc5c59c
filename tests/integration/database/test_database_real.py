"""The database activities against a real PostgreSQL of the test's own."""

import os
import signal
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta

import psycopg
import pytest
from temporalio.testing import ActivityEnvironment

from activities.postgres.activities import SAMPLES, DatabaseActivities, TerminateSessions
from activities.postgres.connections import Databases
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.service_policies import Database, RollbackPolicy, Thresholds, Verify
from runbook_model.catalog.target import Target
from runbook_model.errors import InputError, UnreachableError
from runbook_model.measured.database import SessionName
from sandbox.postgres.files import DATABASE, find_postgres
from sandbox.postgres.server import Postgres
from tests.sandbox_under_test import until

VARIABLE = "SHOP_DSN"
ROOM = 27


@pytest.fixture(scope="module")
async def postgres(tmp_path_factory):
    programs = find_postgres()
    assert programs, "PostgreSQL is not installed: run make set-up, or apt-get install postgresql"
    server = Postgres(programs, tmp_path_factory.mktemp("postgres"), ["own"])
    await server.start()
    yield server
    await server.end()


@pytest.fixture
async def dsn(postgres, monkeypatch):
    """The operator's DSN, also in the variable that the catalog names; the server is up and empty."""
    operator = postgres.operator_dsn("own")
    monkeypatch.setenv(VARIABLE, operator)
    if postgres.pids()["own"] is None:
        await postgres.restart("own")
    until(lambda: not sessions(operator))
    return operator


@pytest.fixture
def service_dsn(dsn, postgres):
    return postgres.service_dsn("own")


def sessions(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()


def target(**database):
    return Target(
        service="shop", environment="prod", platform="ecs", region="us-east-1", cluster="prod", ecs_service="shop",
        url=None, log_group=None, prometheus_url=None, release_label=None, thresholds=Thresholds(), verify=Verify(),
        rollback=RollbackPolicy(), approvals=Approvals(),
        database=Database(dsn_env=VARIABLE, **{"leaked_after": "10ms"} | database),
    )  # fmt: skip


def read(samples=1, **database):
    activities = DatabaseActivities(Databases(), samples)
    return ActivityEnvironment().run(activities.read_database, target(**database))


def connected():
    return ActivityEnvironment().run(DatabaseActivities(Databases(), samples=2).test_connection, target())


def terminate(*names, **database):
    change = TerminateSessions(target=target(**database), sessions=names)
    return ActivityEnvironment().run(DatabaseActivities(Databases()).terminate_sessions, change)


@contextmanager
def forgotten(dsn, count, application="shop:7/task", statement="SELECT 'a secret' AS s, 4711"):
    """Sessions that an application started a transaction in and forgot."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            connection = psycopg.connect(dsn, application_name=application)
            stack.callback(lambda item=connection: suppress(psycopg.Error) and item.close())
            connection.execute(statement)
            opened.append(connection)
        time.sleep(0.02)  # longer than leaked_after
        yield opened


def is_dead(connection):
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    return True


@pytest.mark.usefixtures("dsn")
class TestReading:
    async def test_an_idle_database_serves_and_has_room(self):
        found = read()
        assert (found.standing, found.used, found.limit, found.reserved) == ("serves", 0, 30, 3)
        assert found.open_to_services == ROOM
        assert (found.database, found.standby, found.idle, found.lock_waits) == (DATABASE, False, (), ())

    async def test_connections_are_counted_by_application_and_state(self, service_dsn):
        with forgotten(service_dsn, 3), closing(psycopg.connect(service_dsn, application_name="other")):
            found = read()
        counted = {(item.owner, item.state): item.count for item in found.held}
        assert counted == {("shop:7", "idle in transaction"): 3, ("other", "idle"): 1}
        assert found.used == 4
        assert [item.application for item in found.idle] == ["shop:7/task"] * 3

    async def test_statements_are_shown_without_what_they_were_about(self, service_dsn):
        with forgotten(service_dsn, 1):
            found = read()
        assert found.idle[0].query == "SELECT ? AS s, ?"
        assert "secret" not in found.model_dump_json()

    async def test_who_waits_for_a_lock_is_reported_with_who_holds_it(self, service_dsn):
        with closing(psycopg.connect(service_dsn, autocommit=True)) as owner:
            owner.execute("CREATE TABLE IF NOT EXISTS stock (id int)")
        with forgotten(service_dsn, 1, statement="LOCK TABLE stock"):
            waiter = psycopg.connect(service_dsn, application_name="waiter")
            asking = threading.Thread(target=lambda: suppresses(waiter, "SELECT * FROM stock"), daemon=True)
            asking.start()
            found = until(lambda: (now := read()).lock_waits and now)
            holder = found.idle[0]
            assert [wait.waits.application for wait in found.lock_waits] == ["waiter"]
            assert found.lock_waits[0].blockers == (holder.name.pid,)
            assert found.blockers == (holder,)
            waiter.cancel_safe()
            asking.join(5)
            waiter.close()

    async def test_who_waits_with_a_time_limit_and_comes_back_is_seen_by_some_of_the_samples(
        self, service_dsn
    ):
        over = threading.Event()

        def wait_again_and_again():
            while not over.is_set():
                with closing(psycopg.connect(service_dsn, application_name="waiter")) as waiter:
                    suppresses(waiter, "SET lock_timeout = 300; SELECT * FROM stock")
                over.wait(0.3)

        with closing(psycopg.connect(service_dsn, autocommit=True)) as owner:
            owner.execute("CREATE TABLE IF NOT EXISTS stock (id int)")
        with forgotten(service_dsn, 1, statement="LOCK TABLE stock"):
            asking = threading.Thread(target=wait_again_and_again)
            asking.start()
            found = until(lambda: len((now := read(samples=SAMPLES)).lock_waits) > 1 and now)
            over.set()
            asking.join(5)
        names = [wait.waits.name for wait in found.lock_waits]
        assert {wait.waits.application for wait in found.lock_waits} == {"waiter"}
        assert len(names) == len(set(names))
        assert found.samples == SAMPLES
        assert sum(wait.seen for wait in found.lock_waits) == found.samples_with_waits
        assert [blocker.name for blocker in found.blockers] == [found.idle[0].name]
        assert found.used_at_most == 2

    async def test_a_table_that_a_forgotten_session_keeps_locked_is_reported_though_nobody_waits(
        self, service_dsn
    ):
        with closing(psycopg.connect(service_dsn, autocommit=True)) as owner:
            owner.execute("CREATE TABLE IF NOT EXISTS stock (id int)")
        statement = "LOCK TABLE stock; CREATE TABLE its_own (id int); CREATE TEMP TABLE passing (id int)"
        with (
            forgotten(service_dsn, 1, statement=statement) as (holder,),
            forgotten(service_dsn, 1, statement="SELECT * FROM pg_class"),
        ):
            found, pid = read(), holder.info.backend_pid
        assert found.lock_waits == ()
        assert [(lock.pid, lock.table, lock.mode) for lock in found.table_locks] == [
            (pid, "public.stock", "AccessExclusiveLock")
        ]

    async def test_slow_statements_are_reported_where_the_database_counts_them(self, service_dsn):
        with closing(psycopg.connect(service_dsn)) as slow:
            slow.execute("SELECT pg_sleep(0.2)")
        slowest = read().slowest[0]
        assert slowest.query.startswith("SELECT pg_sleep(")
        assert slowest.mean >= timedelta(milliseconds=200)

    async def test_the_longest_running_are_reported(self, service_dsn):
        with closing(psycopg.connect(service_dsn, application_name="report")) as busy:
            asking = threading.Thread(target=lambda: suppresses(busy, "SELECT pg_sleep(30)"), daemon=True)
            asking.start()
            found = until(lambda: (now := read()).longest and now)
            assert [item.application for item in found.longest] == ["report"]
            busy.cancel_safe()
            asking.join(5)

    async def test_a_full_database_is_still_read_by_who_has_reserved_connections(self, service_dsn):
        with forgotten(service_dsn, ROOM):
            with pytest.raises(psycopg.OperationalError, match="remaining connection slots are reserved"):
                psycopg.connect(service_dsn)
            found = read()
            assert (found.standing, found.used, len(found.idle)) == ("serves", ROOM, ROOM)
            assert connected().used == ROOM

    async def test_without_any_connection_left_that_is_the_answer(self, service_dsn, monkeypatch):
        monkeypatch.setenv(VARIABLE, service_dsn)
        with forgotten(service_dsn, ROOM):
            found = read()
        assert found.standing == "full"
        assert "remaining connection slots are reserved" in found.why

    async def test_a_role_that_may_not_look_into_sessions_says_so(self, dsn, service_dsn, monkeypatch):
        monkeypatch.setenv(VARIABLE, service_dsn)
        with closing(psycopg.connect(dsn)):
            found = read()
        assert found.hidden == 1


def suppresses(connection, statement):
    with suppress(psycopg.Error):
        connection.execute(statement)


def ask_one_that_is_stopped():
    with Databases().connect(VARIABLE) as transaction, transaction() as connection:
        pid = connection.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            connection.execute("SELECT 1")
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("dsn")
class TestRefusals:
    async def test_a_server_that_is_down_is_an_answer(self, postgres):
        await postgres.kill("own")
        found = read()
        assert found.standing == "down"
        assert "Connection refused" in found.why
        assert not connected().ok

    async def test_a_server_that_is_stopped_dead_does_not_hold_us_up(self, postgres):
        pid = postgres.pids()["own"]
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            found = read()
            took = time.monotonic() - began
        finally:
            os.kill(pid, signal.SIGCONT)
        assert found.standing == "silent"
        assert took > 1.5, "it was waited for, and not for ever: it is still stopped"

    async def test_a_backend_that_is_stopped_dead_is_hung_up_on(self, monkeypatch):
        monkeypatch.setattr("activities.postgres.connections.READ_TIMEOUT", timedelta(seconds=0.5))
        with pytest.raises(UnreachableError, match=VARIABLE):
            ask_one_that_is_stopped()

    async def test_a_wrong_password_is_denied_and_never_shown(self, dsn, monkeypatch):
        password = psycopg.conninfo.conninfo_to_dict(dsn)["password"]
        monkeypatch.setenv(VARIABLE, dsn.replace(password, "Tr0ub4dor"))
        found = read()
        assert found.standing == "denied"
        assert "password authentication failed" in found.why
        assert "Tr0ub4dor" not in found.model_dump_json()

    async def test_a_database_that_is_not_there_is_denied(self, dsn, monkeypatch):
        monkeypatch.setenv(VARIABLE, dsn.replace(f"/{DATABASE}", "/nowhere"))
        assert read().standing == "denied"

    async def test_a_dsn_that_cannot_be_read_is_named_by_its_variable_only(self, monkeypatch):
        monkeypatch.setenv(VARIABLE, "postgresql//shop:hunter2@db/shop")
        with pytest.raises(InputError) as raised:
            read()
        assert VARIABLE in str(raised.value)
        assert "hunter2" not in str(raised.value)

    async def test_a_variable_that_is_not_set_is_named(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        with pytest.raises(InputError, match=f"has no {VARIABLE}"):
            read()

    async def test_reads_cannot_write(self):
        with (
            pytest.raises(Exception, match="read-only transaction"),
            Databases().connect(VARIABLE) as transaction,
            transaction() as connection,
        ):
            connection.execute("CREATE TABLE sneaky (id int)")

    async def test_no_setting_stays_behind_on_a_connection_that_a_pooler_gives_to_others_next(self):
        settings = (
            "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'application_name'"
        )
        with Databases().connect(VARIABLE) as transaction:
            with transaction() as connection:
                inside = {row["name"] for row in connection.execute(settings).fetchall()}
            afterwards = connection.execute(settings).fetchall()
        assert inside >= {"statement_timeout", "lock_timeout", "transaction_read_only"}
        assert afterwards == []


@pytest.mark.usefixtures("dsn")
class TestTerminating:
    async def test_exactly_the_named_sessions_end(self, service_dsn):
        with forgotten(service_dsn, 3) as (first, second, third):
            names = {item.name.pid: item.name for item in read().idle}
            wanted = [names[first.info.backend_pid], names[second.info.backend_pid]]
            done = terminate(*wanted)
            assert done.ended == tuple(wanted)
            assert (done.gone, done.spared, done.stayed) == ((), (), ())
            assert is_dead(first)
            assert is_dead(second)
            third.execute("SELECT 1")

    async def test_again_it_finds_them_gone(self, service_dsn):
        with forgotten(service_dsn, 1):
            name = read().idle[0].name
            terminate(name)
            again = terminate(name)
        assert (again.ended, again.gone) == ((), (name,))

    async def test_another_session_with_the_same_process_id_is_left_alone(self, service_dsn):
        with forgotten(service_dsn, 1) as (connection,):
            name = read().idle[0].name
            other = SessionName(pid=name.pid, backend_start=name.backend_start - timedelta(microseconds=1))
            done = terminate(other)
            connection.execute("SELECT 1")
        assert (done.ended, done.gone) == ((), (other,))

    async def test_a_session_that_is_at_work_again_is_left_alone(self, service_dsn):
        with forgotten(service_dsn, 1) as (connection,):
            name = read().idle[0].name
            connection.commit()
            done = terminate(name)
            connection.execute("SELECT 1")
        assert (done.ended, done.spared) == ((), (name,))

    async def test_a_session_that_is_not_idle_for_long_enough_is_left_alone(self, service_dsn):
        with forgotten(service_dsn, 1) as (connection,):
            done = terminate(read().idle[0].name, leaked_after="1h")
            connection.execute("SELECT 1")
        assert len(done.spared) == 1

    async def test_a_session_of_another_database_is_left_alone(self, dsn):
        with forgotten(dsn.replace(f"/{DATABASE}", "/postgres"), 1) as (connection,):
            with psycopg.connect(dsn) as looking:
                row = looking.execute(
                    "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = %s",
                    (connection.info.backend_pid,),
                ).fetchone()
            done = terminate(SessionName(pid=row[0], backend_start=row[1]))
            connection.execute("SELECT 1")
        assert done.ended == ()

    async def test_a_role_that_may_not_end_a_session_does_not(self, dsn, service_dsn, monkeypatch):
        with forgotten(dsn, 1) as (connection,):
            name = read().idle[0].name
            monkeypatch.setenv(VARIABLE, service_dsn)
            # Its role does not even see when a superuser's session started, so to it there is none.
            assert terminate(name).gone == (name,)
            connection.execute("SELECT 1")

    async def test_what_was_certainly_not_made_is_said_to_be_so(self, postgres):
        await postgres.kill("own")
        name = SessionName(pid=1, backend_start="2026-01-01T00:00:00Z")
        with pytest.raises(UnreachableError) as raised:
            terminate(name)
        assert raised.value.certainly_not_made
