"""Whether something may be started automatically."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_model.brakes import AutomaticStart, BrakeBook, Reservation, Switched
from runbook_model.catalog.policies import Brake
from tests.incidents import at
from workflows.decisions.braking import finished, forget, not_started, reserve

LIMITS = Brake(per_service_per_hour=3, targets_at_once=2)


def wanted(service="shop", procedure="rollback", key="new", **fields):
    return Reservation(
        key=key, environment="prod", service=service, procedure=procedure, limits=LIMITS, **fields
    )


def started(*moments, service="shop", procedure="rollback", ended=True):
    return tuple(
        AutomaticStart(
            key=f"{service}-{procedure}-{moment}",
            service=service,
            procedure=procedure,
            began=at(moment),
            ended=at(moment + 1) if ended else None,
        )
        for moment in moments
    )


def held(started_before, minutes, *, on=(), **fields):
    answer, _ = reserve(BrakeBook(starts=started_before, on=on), wanted(**fields), at(minutes))
    return answer.held and answer.held.kind


def test_what_is_let_through_is_counted_once_however_often_it_is_asked():
    answer, book = reserve(BrakeBook(), wanted(), at(0))
    assert answer.held is None
    again, same = reserve(book, wanted(), at(0))
    assert (again.held, len(same.starts)) == (None, 1)


def test_what_was_not_started_after_all_asks_again_and_does_not_count():
    _, book = reserve(BrakeBook(), wanted(), at(0))
    book = not_started(book, "new")
    assert book.starts == ()
    on = (Switched(service=None, by="alice", reason="migration", at=at(1)),)
    answer, _ = reserve(book.model_copy(update={"on": on}), wanted(), at(2))
    assert answer.held.kind == "person"


def test_what_has_ended_is_not_let_through_once_more():
    _, book = reserve(BrakeBook(), wanted(), at(0))
    answer, _ = reserve(finished(book, "new", at(1)), wanted(), at(2))
    assert answer.held.kind == "cooling"


@pytest.mark.parametrize(
    ("moments", "minutes", "kind"),
    [
        ((0,), 10.9, "cooling"),
        ((0,), 11, None),
        ((0, 30), 50, "cooling"),
        ((0, 30), 51, None),
        ((0, 100, 200), 240, "cooling"),
        ((0, 100, 200), 241, None),
    ],
)
def test_the_same_again_waits_twice_as_long_each_time(moments, minutes, kind):
    assert held(started(*moments), minutes) == kind


def test_the_wait_has_an_end_and_a_day_later_all_is_forgotten():
    often = started(*range(0, 1000, 60))
    answer, _ = reserve(BrakeBook(starts=often), wanted(), at(1000))
    assert answer.held.until == at(961) + timedelta(hours=4)
    assert held(often, 961 + 24 * 60) is None


def test_another_procedure_or_service_does_not_wait():
    assert held(started(0), 2, procedure="service-down") is None
    assert held(started(0), 2, service="cart") is None


def test_beyond_so_many_an_hour_a_person_decides():
    before = started(0, procedure="a") + started(10, procedure="b") + started(20, procedure="c")
    assert held(before, 30) == "rate"
    assert held(before, 60) is None


def test_beyond_so_many_targets_at_once_a_person_decides():
    storm = started(0, service="a", ended=False) + started(0, service="b", ended=False)
    assert held(storm, 1) == "storm"
    assert held(storm[:1] + started(0, service="b"), 2) is None
    assert held(storm, 6 * 60) is None


@pytest.mark.parametrize(("service", "kind"), [(None, "person"), ("shop", "person"), ("cart", None)])
def test_a_persons_brake_holds_its_environment_or_its_service(service, kind):
    on = (Switched(service=service, by="alice", reason="migration", at=at(0)),)
    assert held((), 1, on=on) == kind


def test_an_end_counts_once_and_only_for_what_was_started():
    book = BrakeBook(starts=started(0, ended=False))
    ended = finished(book, "shop-rollback-0", at(5))
    assert ended.starts[0].ended == at(5)
    assert finished(ended, "shop-rollback-0", at(9)) == ended
    assert finished(book, "nobody", at(9)) == book


def test_what_is_older_than_a_day_is_forgotten():
    book = forget(BrakeBook(starts=started(0, 1000)), at(24 * 60 + 2))
    assert [start.began for start in book.starts] == [at(1000)]
