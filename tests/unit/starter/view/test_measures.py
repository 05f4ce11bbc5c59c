"""Figures of incidents and procedures: facts in, means and counts out."""

from datetime import UTC, datetime, timedelta

from runbook_model.reports import Outcome
from starter.commands.incidents.metrics import Measured, measure

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday


def incident(minutes=10.0, *, taken=None, outcome=Outcome.RECOVERED, at=AT, **more) -> Measured:
    return Measured(
        **{
            "procedure": "incident",
            "service": "shop",
            "environment": "prod",
            "opened": at,
            "ended": at + timedelta(minutes=minutes) if minutes else None,
            "outcome": outcome if minutes else None,
            "taken_up": at + timedelta(minutes=taken) if taken is not None else None,
            **more,
        }
    )


def figures(*runs):
    return measure(runs, AT - timedelta(days=30), AT)


def test_the_mean_is_taken_of_what_is_known():
    every = figures(incident(10, taken=1), incident(20, taken=3), incident(60))["incidents"]
    assert (every["mtta_seconds"], every["mtta_median_seconds"]) == (120.0, 120.0)
    assert (every["mttr_seconds"], every["mttr_median_seconds"]) == (1800.0, 1200.0)
    assert (every["ended"], every["open"]) == (3, 0)


def test_what_was_not_recovered_from_is_counted_and_in_no_mean():
    every = figures(incident(10), incident(500, outcome=Outcome.NOT_RECOVERED))["incidents"]
    assert every["outcomes"] == {"not-recovered": 1, "recovered": 1}
    assert every["mttr_seconds"] == 600.0


def test_what_nobody_knows_is_null_and_not_0():
    every = figures(incident(None))["incidents"]
    assert (every["open"], every["mtta_seconds"], every["mttr_seconds"]) == (1, None, None)
    assert figures()["incidents"]["mttr_seconds"] is None


def test_services_and_procedures_are_distinguished():
    runs = [
        incident(10),
        incident(10, service="cart"),
        incident(5, procedure="rollback"),
        incident(15, procedure="rollback", outcome=Outcome.NOT_APPROVED),
        incident(None, procedure="high-latency"),
    ]
    text = figures(*runs)
    assert [(row["service"], row["ended"]) for row in text["services"]] == [("cart", 1), ("shop", 1)]
    latency, rollback = text["procedures"]
    assert (latency["procedure"], latency["open"], latency["duration_seconds"]) == ("high-latency", 1, None)
    assert rollback["outcomes"] == {"not-approved": 1, "recovered": 1}
    assert rollback["duration_seconds"] == 600.0


def test_a_week_starts_on_monday_and_holds_what_ended_in_it():
    sunday = datetime(2026, 3, 8, 23, 55, tzinfo=UTC)
    text = figures(incident(4, at=sunday), incident(6, at=sunday), incident(6, procedure="rollback"))
    assert [(week["from"], week["ended"], week["procedures"]) for week in text["weeks"]] == [
        ("2026-03-02", 1, {"recovered": 1}),
        ("2026-03-09", 1, {}),
    ]
