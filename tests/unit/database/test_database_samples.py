"""Several looks at a database are one reading: what comes and goes is in it, and each session once."""

from datetime import UTC, datetime, timedelta

from activities.postgres.reading import Look, merged

AT = datetime(2026, 1, 1, tzinfo=UTC)


def row(pid, *, state="active", lasts=1.0, application="shop:7/a"):
    return {
        "pid": pid, "backend_start": AT, "datname": "shop", "usename": "shop", "application_name": application,
        "state": state, "lasts": lasts, "query": "SELECT 1",
    }  # fmt: skip


def seen(*rows, waits=(), used=None, hidden=0):
    room = {
        "max_connections": 30, "reserved": 3, "version": "17", "name": "shop", "standby": False,
        "used": len(rows) if used is None else used, "hidden": hidden,
    }  # fmt: skip
    return Look(room, list(rows), [{"pid": pid, "blockers": list(by)} for pid, by in waits])


def reading(*looks):
    return merged(looks, (), (), AT)


HOLDER = row(1, state="idle in transaction", lasts=90.0)


def test_a_session_that_waits_in_some_samples_is_there_once_with_its_longest_wait():
    found = reading(
        seen(HOLDER, row(2, lasts=0.4), waits=[(2, [1])]),
        seen(HOLDER),
        seen(HOLDER, row(2, lasts=1.9), waits=[(2, [1, 3])]),
        seen(HOLDER, row(2, lasts=0.1), row(4), waits=[(2, [1]), (4, [2])]),
    )
    assert (found.samples, found.samples_with_waits) == (4, 3)
    assert [(wait.waits.name.pid, wait.seen) for wait in found.lock_waits] == [(2, 3), (4, 1)]
    assert found.lock_waits[0].waits.lasts == timedelta(seconds=1.9)
    assert found.lock_waits[0].blockers == (1, 3)
    assert [blocker.name.pid for blocker in found.blockers] == [1, 2]


def test_connections_used_are_the_median_and_the_most():
    found = reading(*(seen(used=used) for used in (3, 27, 4, 5, 3)))
    assert (found.used, found.used_at_most) == (4, 27)


def test_sessions_that_may_be_ended_are_those_of_the_last_sample():
    gone = row(9, state="idle in transaction", lasts=300.0)
    found = reading(seen(HOLDER, gone), seen(HOLDER))
    assert [item.name.pid for item in found.idle] == [1]


def test_a_session_that_was_hidden_once_is_hidden():
    assert reading(seen(hidden=2), seen()).hidden == 2
