"""How long a rollback would take tonight, where deployments shift traffic."""

from datetime import timedelta

import pytest

from runbook_model.releases.rollback_time import time_of_rollback
from runbook_model.releases.shifting import Hook, Shifting

STEADY = timedelta(minutes=30)
LISTENER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/net/shop/1/2"


@pytest.mark.parametrize(
    ("shifting", "minutes"),
    [
        (Shifting(strategy="LINEAR", percent=10, step_minutes=6), 54),
        (Shifting(strategy="LINEAR", percent=10, step_minutes=6, bake_minutes=10), 64),
        (Shifting(strategy="CANARY", percent=5, step_minutes=10, bake_minutes=5), 15),
        (Shifting(strategy="BLUE_GREEN", bake_minutes=15), 15),
        (Shifting(strategy="BLUE_GREEN", bake_minutes=15, rules=(LISTENER,)), 35),
    ],
    ids=["linear", "linear with bake", "canary", "blue/green", "blue/green behind a network load balancer"],
)
def test_what_has_finished_takes_its_steps_its_bake_time_and_the_start_of_its_tasks(shifting, minutes):
    found = time_of_rollback(shifting, STEADY)
    assert (found.waits, found.finished) == (minutes, minutes + 30)
    assert found.summary.startswith("in flight within seconds, by a stop; finished within ")


def test_the_line_names_the_time():
    found = time_of_rollback(Shifting(strategy="LINEAR", percent=10, step_minutes=6), STEADY)
    assert found.summary == (
        "in flight within seconds, by a stop; finished within 54m of steps and bake time, "
        "and the time that tasks need to start (30m at most)"
    )


def test_hooks_and_pauses_are_named_with_what_they_may_add():
    asked = Hook(kind="AWS_LAMBDA", stages=("PRODUCTION_TRAFFIC_SHIFT",), minutes=5, at_timeout="ROLLBACK")
    pause = Hook(kind="PAUSE", stages=("POST_TEST_TRAFFIC_SHIFT",), minutes=60, at_timeout="ROLLBACK")
    shifting = Shifting(strategy="BLUE_GREEN", bake_minutes=1, hooks=(asked, pause))
    found = time_of_rollback(shifting, STEADY)
    assert (found.in_flight_hooks, found.hooks, found.finished) == (5, 65, 96)
    assert found.summary == (
        "in flight within seconds, by a stop, unless Lambda hooks hold it up (up to 5m); finished within 1m of steps and "
        "bake time, up to 1h 5m of hooks, and the time that tasks need to start (30m at most); "
        "it waits for a person at POST_TEST_TRAFFIC_SHIFT"
    )
