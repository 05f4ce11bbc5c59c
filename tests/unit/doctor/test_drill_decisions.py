"""What changed since the last drill: compared with what was last known for sure."""

from datetime import UTC, datetime, timedelta

import pytest

from runbook_model.catalog.service_policies import Database
from runbook_model.checks import Check
from runbook_model.plans import Plan
from runbook_model.releases.shifting import Shifting
from runbook_model.reports import Outcome, Problem, Report, State
from starter.commands.safety.doctor import document
from tests.ecs_facts import a_deployment, a_service, task_definition
from tests.observing import a_target
from workflows.decisions.checkup import (
    conclude,
    judge_controller,
    judge_plan,
    notify_later,
    settle,
    unplanned,
    with_time,
    words,
)

GREEN, RED = True, False
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = a_target()


def a_check(name, ok, service="shop", **more):
    return Check(environment="prod", service=service, name=name, ok=ok, **{"detail": "as found", **more})


def drills(*found, services=("shop",)):
    """Drill once for each state of one check, or for each list of checks; returns the last."""
    last = None
    for number, checks in enumerate(found):
        seen = checks if isinstance(checks, list) else [a_check("health", checks)]
        last = conclude("prod", NOON + timedelta(days=number), services, seen, last)
    return last


def changed(drill):
    return [item.name for item in drill.broke], [item.name for item in drill.restored]


BROKE, FIXED, NOTHING = (["health"], []), ([], ["health"]), ([], [])


@pytest.mark.parametrize(
    ("found", "change"),
    [
        ([GREEN], NOTHING),
        ([RED], NOTHING),
        ([GREEN, GREEN], NOTHING),
        ([GREEN, RED], BROKE),
        ([RED, RED], NOTHING),
        ([GREEN, RED, RED], NOTHING),
        ([RED, GREEN], FIXED),
        ([GREEN, RED, GREEN], FIXED),
        ([GREEN, None], NOTHING),
        ([None, RED], NOTHING),
        ([None, GREEN], NOTHING),
        ([GREEN, None, RED], BROKE),
        ([GREEN, None, None, RED], BROKE),
        ([GREEN, None, GREEN], NOTHING),
        ([RED, None, GREEN], FIXED),
        ([GREEN, [], RED], BROKE),
        ([[], RED], NOTHING),
    ],
)
def test_what_could_not_be_determined_in_between_neither_broke_nor_was_fixed(found, change):
    assert changed(drills(*found)) == change


def test_the_same_check_of_another_service_is_another_thing():
    before = [a_check("health", GREEN), a_check("health", RED, "till")]
    now = [a_check("health", RED), a_check("health", RED, "till")]
    last = drills(before, now, services=("shop", "till"))
    assert [item.service for item in last.broke] == ["shop"]


def test_a_service_that_left_the_catalog_is_forgotten():
    first = drills(GREEN)
    without = conclude("prod", NOON, ("till",), [a_check("health", GREEN, "till")], first)
    again = conclude("prod", NOON, ("shop", "till"), [a_check("health", RED)], without)
    assert changed(again) == NOTHING


def test_nothing_is_forgotten_while_the_catalog_cannot_be_read():
    first = drills(GREEN)
    blind = conclude("prod", NOON, (), [a_check("worker-catalog", RED, None)], first)
    assert changed(conclude("prod", NOON, ("shop",), [a_check("health", RED)], blind)) == BROKE


@pytest.mark.parametrize("service", ["shop", None])
def test_a_look_that_was_not_finished_is_reported_and_so_is_one_that_is_finished_again(service):
    unfinished = [a_check("health", GREEN), a_check("examination", RED, service)]
    assert changed(drills(GREEN, unfinished)) == (["examination"], [])
    assert changed(drills(GREEN, unfinished, GREEN)) == ([], ["examination"])


def test_what_nobody_could_be_notified_of_is_found_again():
    before = drills(GREEN)
    lost = notify_later(conclude("prod", NOON, ("shop",), [a_check("health", RED)], before), before, "away")
    assert lost.not_notified == "away"
    assert changed(conclude("prod", NOON, ("shop",), [a_check("health", RED)], lost)) == BROKE


def test_it_says_since_when():
    assert drills(GREEN).since is None
    assert drills(GREEN, RED).since == NOON


class TestWords:
    def test_are_only_for_changes(self):
        assert words(drills(RED)) is None
        assert words(drills(GREEN, GREEN)) is None

    def test_say_what_is_wrong_the_fix_and_where_the_rest_is(self):
        broken = a_check("last-known-good", RED, detail="none is left", fix="mark one good")
        text = words(drills([a_check("last-known-good", GREEN)], [broken]))
        assert "no longer in place: shop: last-known-good (none is left; mark one good)" in text
        assert text.endswith("All of it: runbook drill prod")

    def test_say_what_works_again(self):
        assert "in place again: shop: health." in words(drills(RED, GREEN))

    def test_are_few_however_much_changed(self):
        names = [f"check-{number}" for number in range(40)]
        good = [a_check(name, GREEN) for name in names]
        bad = [a_check(name, RED, detail="x" * 5000) for name in names]
        text = words(drills(good, bad))
        assert "and 35 more" in text
        assert len(text) < 1500


class TestPlan:
    def test_is_no_second_red_line_where_there_is_no_release_to_go_back_to(self):
        found = settle([a_check("last-known-good", RED), a_check("rollback-plan", RED)])
        assert [check.ok for check in found] == [False, None]

    def report(self, outcome, **more):
        fields = {"procedure": "rollback", "service": "shop", "environment": "prod", "requested_by": "drill"}
        return Report(**fields, state=State.DONE, outcome=outcome, **{"summary": "why", **more})

    def test_is_what_the_rollback_would_do(self):
        plan = Plan(headline="shop: 2 → 1", calls=(), needs_yes="it never soaked")
        text = judge_plan(TARGET, "rollback", self.report(Outcome.PLANNED, plan=plan))
        assert (text.ok, text.name) == (GREEN, "rollback-plan")
        assert text.detail == "shop: 2 → 1; it would need a person's approval: it never soaked"

    def test_of_a_rollback_says_how_long_it_would_take_where_deployments_shift_traffic(self):
        plan = Plan(headline="shop: 2 → 1", calls=())
        made = judge_plan(TARGET, "rollback", self.report(Outcome.PLANNED, plan=plan))
        linear = Shifting(strategy="LINEAR", percent=10, step_minutes=6)
        service = a_service(a_deployment(2, task_definition(2)), strategy="LINEAR", shifting=linear)
        checks = [judge_controller(TARGET, service)]
        found = with_time(made, checks)
        assert found.detail == (
            "shop: 2 → 1; in flight within seconds, by a stop; finished within 54m of steps and bake time, "
            "and the time that tasks need to start (30m at most)"
        )
        assert (document(found)["rollback"]["waits"], found.rollback.finished) == (54, 84)
        assert with_time(made, []) == made
        fires = a_check("traffic-shift", RED, TARGET.service, detail="the alarm errors fires already")
        assert with_time(made, [*checks, fires]).detail == (
            f"{found.detail}; in the way: the alarm errors fires already"
        )
        assert "rollback" not in document(made)

    @pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.INCONCLUSIVE])
    def test_that_was_not_made_says_why_and_how_to_see_it(self, outcome):
        error = Problem(kind="policy", message="no release is left")
        text = judge_plan(TARGET, "rollback", self.report(outcome, error=error))
        assert (text.ok, text.detail) == (RED, f"{outcome}: no release is left")
        assert text.fix == f"runbook start rollback {TARGET.key} --plan shows it again"

    @pytest.mark.parametrize(
        ("outcome", "ok"),
        [
            (Outcome.NOT_NEEDED, GREEN),
            (Outcome.INCONCLUSIVE, GREEN),
            (Outcome.REFUSED, RED),
            (Outcome.FAILED, RED),
        ],
    )
    def test_of_a_procedure_that_diagnoses_may_find_that_there_is_nothing_to_do(self, outcome, ok):
        text = judge_plan(TARGET, "high-latency", self.report(outcome))
        assert (text.ok, text.name, text.detail) == (ok, "high-latency-plan", f"{outcome}: why")

    def test_that_another_procedure_refuses_by_policy_is_neither_good_nor_bad(self):
        error = Problem(kind="policy", message="prod/shop runs by compose: purge-cache needs ECS")
        text = judge_plan(TARGET, "purge-cache", self.report(Outcome.REFUSED, error=error))
        assert (text.ok, text.detail) == (None, f"refused: {error.message}")

    def test_of_a_database_is_asked_for_where_the_catalog_names_one(self):
        assert unplanned(TARGET, "database-issues", []).ok is None
        with_database = a_target(database=Database(dsn_env="SHOP_DSN"))
        assert unplanned(with_database, "database-issues", []) is None

    def test_is_not_asked_for_by_compose(self):
        assert unplanned(a_target(platform="compose"), "rollback", []).ok is None

    def test_is_not_asked_for_before_there_is_anything_to_go_back_to(self):
        first = a_check("last-known-good", None, TARGET.service, detail="it is the first release")
        assert unplanned(TARGET, "rollback", [first]).detail == "it is the first release"

    @pytest.mark.parametrize("ok", [GREEN, RED])
    def test_is_asked_for_otherwise(self, ok):
        assert unplanned(TARGET, "rollback", [a_check("last-known-good", ok, TARGET.service)]) is None
