"""What is wrong with a database, and which sessions are ended: facts in, a cause and a plan out."""

from datetime import UTC, datetime, timedelta

import pytest

from runbook_model.authority.shown import plan_hash
from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.service_policies import Database, RollbackPolicy, Thresholds, Verify
from runbook_model.catalog.target import Target
from runbook_model.measured.database import (
    DatabaseRead,
    HeldConnections,
    LockWait,
    Session,
    SessionName,
    Statement,
    TableLock,
    Terminated,
    without_literals,
)
from workflows.decisions.database import Cause, belongs_to, classify, leak_report, plan_terminate, signs_of

AT = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Database(dsn_env="SHOP_DSN")
TARGET = Target(
    service="shop", environment="prod", platform="ecs", region="us-east-1", cluster="prod", ecs_service="shop",
    url=None, log_group=None, prometheus_url=None, release_label=None, thresholds=Thresholds(), verify=Verify(),
    rollback=RollbackPolicy(), approvals=Approvals(), database=POLICY,
)  # fmt: skip


def session(pid, *, app="shop:7/a", state="idle in transaction", seconds=120.0, started=AT, role="shop"):
    return Session(
        name=SessionName(pid=pid, backend_start=started), database="shop", role=role, application=app,
        state=state, lasts=timedelta(seconds=seconds), query="SELECT ?",
    )  # fmt: skip


def sessions(count, first=1, **more):
    return tuple(session(pid, **more) for pid in range(first, first + count))


def read(used, *, idle=(), limit=30, reserved=3, **more):
    return DatabaseRead(
        standing="serves", limit=limit, reserved=reserved, used=used, idle=idle, database="shop", at=AT, **more
    )  # fmt: skip


def waits(*, seconds=120.0, by=(1,)):
    waiting = session(90, app="web:1", state="active", seconds=seconds)
    return (LockWait(waits=waiting, blockers=by),)


HOLDER = session(1)
BUSY = session(1, state="active")
LOCKED = TableLock(pid=1, table="public.settings", mode="AccessExclusiveLock")


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (read(2), Cause.HEALTHY),
        (read(21), Cause.HEALTHY),
        (read(22), Cause.LOAD),
        (read(27, idle=sessions(20)), Cause.LEAK),
        (read(27, idle=sessions(6)), Cause.LEAK),
        (read(27, idle=sessions(5)), Cause.LOAD),
        (read(27, idle=sessions(20, seconds=59.9)), Cause.LOAD),
        (read(27, idle=sessions(20, seconds=60)), Cause.LEAK),
        (read(27, idle=(*sessions(4, app="a"), *sessions(4, 50, app="b"))), Cause.LOAD),
        (read(2, idle=sessions(2)), Cause.HEALTHY),
        (read(5, lock_waits=waits(), blockers=(BUSY,)), Cause.LOCKS),
        (read(5, lock_waits=waits(seconds=59), blockers=(BUSY,)), Cause.HEALTHY),
        (read(5, idle=(HOLDER,), lock_waits=waits(seconds=1), blockers=(HOLDER,)), Cause.LOCKS),
        (
            read(5, idle=sessions(1, seconds=59), lock_waits=waits(seconds=1), blockers=(HOLDER,)),
            Cause.HEALTHY,
        ),
        (read(27, lock_waits=waits(), blockers=(BUSY,)), Cause.LOCKS),
        (read(5, idle=(HOLDER,), table_locks=(LOCKED,)), Cause.LOCKS),
        (read(5, idle=sessions(1, seconds=59), table_locks=(LOCKED,)), Cause.HEALTHY),
        (read(5, idle=sessions(1, first=2), table_locks=(LOCKED,)), Cause.HEALTHY),
        (read(27, idle=sessions(20), lock_waits=waits(), blockers=(HOLDER,)), Cause.LEAK),
        (read(27, idle=sessions(20), hidden=3), Cause.UNKNOWN),
        (DatabaseRead(standing="down", why="refused", at=AT), Cause.DOWN),
        (DatabaseRead(standing="full", why="too many", at=AT), Cause.DOWN),
        (DatabaseRead(standing="silent", why="timeout", at=AT), Cause.UNKNOWN),
        (DatabaseRead(standing="denied", why="password", at=AT), Cause.UNKNOWN),
    ],
)
def test_the_cause_follows_from_the_reading(found, cause):
    assert classify(found, POLICY).cause is cause


@pytest.mark.parametrize(
    "backup", [{"app": "pg_dump"}, {"app": "", "role": "shop-backup"}, {"app": "barman_streaming"}]
)
def test_a_backup_that_holds_up_others_is_reported_and_never_ended(backup):
    holder = session(1, seconds=4000, **backup)
    found = classify(read(5, idle=(holder,), lock_waits=waits(), blockers=(holder,)), POLICY)
    assert (found.cause, found.sessions, found.application) == (Cause.LOCKS, (), holder.owner)
    assert plan_terminate(TARGET, found) is None
    full = classify(read(27, idle=sessions(20, **backup)), POLICY)
    assert (full.cause, full.sessions) == (Cause.LOAD, ())


def test_a_full_pooler_is_named_and_the_database_is_not_said_to_be_down():
    why = "the database of SHOP_DSN: FATAL: no more connections allowed (max_client_conn)"
    found = classify(DatabaseRead(standing="pooler-full", why=why, at=AT), POLICY)
    assert (found.cause, found.because) == (
        Cause.POOL,
        ("the pooler takes no more clients; the database was not reached", why),
    )


@pytest.mark.parametrize(
    ("owner", "own"),
    [
        ("shop", True),
        ("shop:7", True),
        ("shop-prod:7", True),
        ("shop-prod", True),
        ("shop-backup", False),
        ("shopping", False),
        ("migration:1", False),
    ],
)
def test_sessions_are_the_services_own_by_its_name_or_that_of_a_release(owner, own):
    assert belongs_to(owner, TARGET) is own


def test_the_thresholds_are_the_catalogs():
    strict = Database(dsn_env="SHOP_DSN", full=0.5, leaked_after=timedelta(seconds=1))
    assert classify(read(14, idle=sessions(10, seconds=2)), strict).cause is Cause.LEAK
    assert classify(read(14, idle=sessions(10, seconds=2)), POLICY).cause is Cause.HEALTHY


def test_a_database_without_room_for_services_at_all_is_full():
    assert classify(read(1, limit=3, reserved=3), POLICY).cause is Cause.LOAD


def test_a_leak_is_the_applications_with_most_forgotten_sessions_and_only_its_own_end():
    found = classify(read(27, idle=(*sessions(3, app="report"), *sessions(12, 50, app="shop:7/a"))), POLICY)
    assert found.application == "shop:7"
    assert {item.name.pid for item in found.sessions} == set(range(50, 62))


def test_tasks_of_one_release_are_one_application_and_a_nameless_one_is_its_role():
    assert session(1, app="shop:7/b").owner == "shop:7"
    assert session(1, app="").owner == "shop"


def test_the_evidence_names_who_holds_what():
    held = (
        HeldConnections(
            owner="shop:7", database="shop", state="idle", count=20, longest=timedelta(minutes=5)
        ),
    )
    slow = (Statement(query="SELECT ?", calls=7, mean=timedelta(seconds=2)),)
    text = classify(read(27, held=held, slowest=slow, standby=True), POLICY).summary
    assert "27 of 27 connections that services may have are used" in text
    assert "held by: 20 shop:7 idle" in text
    assert "slowest on average: 2s: SELECT ?" in text
    assert "it is a standby" in text


def test_a_forgotten_session_that_keeps_a_table_locked_is_ended_though_nobody_waits_at_the_moment():
    found = classify(read(5, idle=(HOLDER,), table_locks=(LOCKED,)), POLICY)
    assert found.because[0] == (
        "pid 1 of shop:7/a, idle in transaction for 2m, keeps public.settings (AccessExclusiveLock) locked"
    )
    assert plan_terminate(TARGET, found).sessions == (HOLDER.name,)


def test_the_evidence_says_how_many_samples_saw_sessions_wait_and_how_full_it_was_at_most():
    found = read(5, lock_waits=waits(), blockers=(BUSY,), samples=12, samples_with_waits=7, used_at_most=9)
    text = classify(found, POLICY).summary
    assert "1 session waited for locks, in 7 of 12 samples" in text
    assert "5 of 27 connections that services may have are used, at most 9" in text


def test_hidden_sessions_say_what_to_grant():
    assert "pg_monitor and pg_signal_backend" in classify(read(27, hidden=3), POLICY).summary


class TestPlan:
    def diagnosis(self, count=20, **more):
        return classify(read(27, idle=sessions(count, **more)), POLICY)

    def test_it_is_exactly_the_forgotten_sessions(self):
        plan = plan_terminate(TARGET, self.diagnosis())
        assert [name.pid for name in plan.sessions] == list(range(1, 21))
        assert plan.headline == "End 20 forgotten sessions of shop:7 in the database of shop in prod"
        assert plan.calls[0].action == "pg_terminate_backend"
        assert plan.calls[0].parameters["sessions"][0] == f"1 since {AT.isoformat()}"

    def test_its_hash_names_the_list_whatever_its_order_and_age(self):
        first, later = self.diagnosis(), self.diagnosis(seconds=500)
        again = later.model_copy(update={"sessions": later.sessions[::-1]})
        assert plan_hash(plan_terminate(TARGET, first)) == plan_hash(plan_terminate(TARGET, again))

    @pytest.mark.parametrize(
        "other",
        [sessions(19), sessions(21), sessions(20, first=2), sessions(20, started=AT + timedelta(microseconds=1))],
        ids=["one fewer", "one more", "another process", "another start"],
    )  # fmt: skip
    def test_its_hash_is_another_for_another_list(self, other):
        changed = self.diagnosis().model_copy(update={"sessions": other})
        assert plan_hash(plan_terminate(TARGET, changed)) != plan_hash(
            plan_terminate(TARGET, self.diagnosis())
        )

    def test_sessions_forgotten_since_do_not_change_what_was_planned(self):
        plan = plan_terminate(TARGET, self.diagnosis(20))
        again = plan_terminate(TARGET, self.diagnosis(22), plan.sessions)
        assert (plan_hash(again), again.sessions) == (plan_hash(plan), plan.sessions)

    def test_a_planned_session_that_is_gone_makes_another_plan(self):
        plan = plan_terminate(TARGET, self.diagnosis(20))
        again = plan_terminate(TARGET, self.diagnosis(19), plan.sessions)
        assert plan_hash(again) != plan_hash(plan)
        assert len(again.sessions) == 19

    def test_sessions_of_others_need_a_persons_yes(self):
        assert plan_terminate(TARGET, self.diagnosis()).needs_yes is None
        assert "psql is not shop" in plan_terminate(TARGET, self.diagnosis(app="psql")).needs_yes

    def test_who_holds_a_lock_is_ended_only_if_it_was_forgotten(self):
        forgotten = read(5, idle=(HOLDER,), lock_waits=waits(), blockers=(HOLDER,))
        busy = read(5, lock_waits=waits(), blockers=(BUSY,))
        assert [name.pid for name in plan_terminate(TARGET, classify(forgotten, POLICY)).sessions] == [1]
        assert plan_terminate(TARGET, classify(busy, POLICY)) is None

    def test_of_a_row_of_waiting_sessions_only_the_one_that_holds_the_lock_is_ended(self):
        middle = LockWait(waits=session(2, state="active"), blockers=(1,))
        last = LockWait(waits=session(3, state="active"), blockers=(1, 2))
        found = read(
            5, idle=(HOLDER,), lock_waits=(middle, last), blockers=(HOLDER, session(2, state="active"))
        )
        assert [name.pid for name in plan_terminate(TARGET, classify(found, POLICY)).sessions] == [1]

    @pytest.mark.parametrize("used", [2, 27])
    def test_without_forgotten_sessions_there_is_none(self, used):
        assert plan_terminate(TARGET, classify(read(used), POLICY)) is None


def test_the_report_of_a_leak_names_the_release_and_its_last_statement():
    leak = classify(read(27, idle=sessions(20)), POLICY)
    found, to_do = leak_report(leak, "shop:7")
    assert found.startswith(
        "shop:7, the release that runs, left 20 sessions idle in a transaction, for up to 2m"
    )
    assert "SELECT ?" in found
    assert "rollback" in to_do
    assert "rollback" not in leak_report(leak, "shop:8")[1]


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("SELECT * FROM people WHERE name = 'Ann O''Hara' AND id = 4711", "SELECT * FROM people WHERE name = ? AND id = ?"),
        ("INSERT INTO t2 VALUES (-1.5, E'a', $1)", "INSERT INTO t2 VALUES (?, ?, $1)"),
        ("DO $x$ secret $x$", "DO ?"),
        ("SELECT 'cut off", "SELECT ?"),
        ("ALTER ROLE a PASSWORD 'x'", "ALTER ROLE a PASSWORD ?"),
        ("SELECT\n  1", "SELECT ?"),
        (r"SELECT E'it\'s secret', 'b'", "SELECT ?, ?"),
        (r"SELECT E'cut off\'", "SELECT ?"),
        ("SELECT E'cut off\\", "SELECT ?"),
        ("SELECT $x$ cut off", "SELECT ?"),
        ("SELECT U&'d\\0061t', x'1f', 1e9, 0xff", "SELECT ?, ?, ?, ?"),
        ("SELECT 1 -- for ann, key 'x\nFROM t", "SELECT ? FROM t"),
        ("SELECT /* key 'x /* y */ z */ a FROM t", "SELECT a FROM t"),
        ("SELECT a /* cut off", "SELECT a"),
        ("""SELECT "it's", 'secret'""", """SELECT "it's", ?"""),
    ],
)  # fmt: skip
def test_statements_lose_their_literals(statement, shown):
    assert without_literals(statement) == shown


def test_a_long_statement_is_cut():
    assert len(without_literals("SELECT " + "a, " * 500)) == 200


def test_what_became_of_the_sessions_is_reported_in_one_line():
    name = SessionName(pid=1, backend_start=AT)
    text = Terminated(ended=(name, name), gone=(name,), spared=(name,)).summary
    assert text == "2 ended, 1 gone already, 1 active again and left alone"


@pytest.mark.parametrize(
    ("found", "trouble", "known"),
    [
        (read(2), None, True),
        (read(27, idle=sessions(20)), "database leak: shop:7 holds 20 connections", True),
        (DatabaseRead(standing="silent", why="timeout", at=AT), None, False),
        (None, None, False),
    ],
)
def test_another_procedure_learns_what_is_wrong_with_the_database_or_that_it_is_not_known(
    found, trouble, known
):
    signs = signs_of(found, POLICY)
    assert (signs.trouble or "").startswith(trouble or "")
    assert (signs.trouble is None, signs.known) == (trouble is None, known)
