"""What doctor makes of facts, and which red lines it takes for consequences."""

import pytest

from runbook_model.checks import PLAN, QUERY, ROLLBACK_PLAN, ROWS, WORKER, Check, row_of
from runbook_model.releases.shifting import Shifting
from tests.ecs_facts import HOUR, a_deployment, a_history, a_release, a_service, bad, task_definition
from tests.observing import a_target
from workflows.decisions import checkup

TARGET = a_target()
ON_COMPOSE = a_target(platform="compose")


def a_check(name, ok, service=None):
    fix = "do something" if ok is False else None
    return Check(environment="prod", service=service, name=name, ok=ok, detail="as found", fix=fix)


class TestLastKnownGood:
    def test_is_the_release_that_a_rollback_would_put_back(self):
        history = a_history((a_release(1), HOUR), (a_release(2), HOUR))
        text = checkup.judge_last_known_good(TARGET, history, ())
        assert (text.ok, text.fix) == (True, None)
        assert text.detail.startswith("shop:1 (1.1.0): ")

    def test_says_when_a_person_would_be_asked(self):
        history = a_history((a_release(2), HOUR))
        text = checkup.judge_last_known_good(TARGET, history, (a_release(1),))
        assert text.ok is True
        assert "it would need a person's approval" in text.detail

    def test_is_unknown_of_a_first_release(self):
        text = checkup.judge_last_known_good(TARGET, a_history((a_release(1), HOUR)), (a_release(1),))
        assert (text.ok, text.fix) == (None, None)
        assert "nothing to go back to yet" in text.detail

    def test_is_missing_where_all_others_are_bad(self):
        history = a_history((bad(a_release(1)), HOUR), (a_release(2), HOUR))
        text = checkup.judge_last_known_good(TARGET, history, ())
        assert text.ok is False
        assert f"runbook release mark {TARGET.key} RELEASE good" in text.fix

    def test_is_there_also_while_nothing_runs(self):
        history = a_history((a_release(1), HOUR), (a_release(2), HOUR), desired=0)
        assert checkup.judge_last_known_good(TARGET, history, ()).ok is True

    @pytest.mark.parametrize(
        ("target", "history"),
        [
            (TARGET, None),
            (ON_COMPOSE, None),
            (TARGET, a_history((a_release(1), HOUR), (a_release(2), HOUR), controller="CODE_DEPLOY")),
        ],
        ids=["history not read", "compose", "not ours to roll"],
    )
    def test_is_unknown_where_it_cannot_be_known(self, target, history):
        assert checkup.judge_last_known_good(target, history, ()).ok is None

    def test_other_revisions_are_read_only_where_the_history_does_not_settle_it(self):
        two, newer = (a_release(1), HOUR), (a_release(2), HOUR)
        assert checkup.needs_revisions(TARGET, a_history(newer))
        assert checkup.needs_revisions(TARGET, a_history(newer, desired=0))
        assert not checkup.needs_revisions(TARGET, a_history(two, newer))
        assert not checkup.needs_revisions(TARGET, a_history(newer, controller="EXTERNAL"))


class TestController:
    @pytest.mark.parametrize(
        "unlike",
        [
            {"controller": "CODE_DEPLOY"},
            {"controller": "EXTERNAL"},
            {"strategy": "SPIRAL"},
            {"scheduling": "DAEMON"},
        ],
    )
    def test_that_is_not_supported_is_red(self, unlike):
        text = checkup.judge_controller(TARGET, a_service(a_deployment(2, task_definition(2)), **unlike))
        assert text.ok is False
        assert f"its {next(iter(unlike))} is {next(iter(unlike.values()))}" in text.detail
        assert text.fix == "use the tool that deploys this service"

    def test_that_shifts_traffic_says_how(self):
        shifting = Shifting(strategy="CANARY", percent=10, step_minutes=5, bake_minutes=15)
        service = a_service(a_deployment(2, task_definition(2)), strategy="CANARY", shifting=shifting)
        found = checkup.judge_controller(TARGET, service)
        assert found.ok is True
        assert found.detail.startswith(
            "CANARY: 10 % of the traffic, 5 min later all of it, then 15 min of bake"
        )

    @pytest.mark.parametrize("how", [{}, {"desired": 0}, {"status": "DRAINING"}])
    def test_does_not_depend_on_whether_the_service_runs(self, how):
        service = a_service(a_deployment(2, task_definition(2)), **how)
        assert checkup.judge_controller(TARGET, service).ok is True

    @pytest.mark.parametrize(("target", "service"), [(TARGET, None), (ON_COMPOSE, None)])
    def test_is_unknown_without_a_service(self, target, service):
        assert checkup.judge_controller(target, service).ok is None


class TestSettling:
    @pytest.mark.parametrize(
        ("check", "cause"), [(row.name, cause) for row in (*WORKER, ROLLBACK_PLAN) for cause in row.needs]
    )
    def test_what_cannot_pass_because_of_another_is_unknown(self, check, cause):
        first, second = checkup.settle([a_check(cause, ok=False), a_check(check, ok=False, service="shop")])
        assert first.ok is False
        assert (second.ok, second.fix) == (None, None)
        assert second.detail == f"unknown: {cause} is not in place"

    def test_queries_depend_on_prometheus(self):
        found = checkup.settle(
            [a_check("prometheus", ok=False), a_check("prometheus-usual", ok=False, service="shop")]
        )
        assert [item.ok for item in found] == [False, None]

    def test_what_is_in_place_stays_so_whatever_else_is_red(self):
        found = checkup.settle([a_check("aws-identity", ok=False), a_check("cluster", ok=True)])
        assert [item.ok for item in found] == [False, True]

    def test_causes_that_are_not_red_excuse_nothing(self):
        found = checkup.settle([a_check("cluster", ok=None), a_check("service", ok=False, service="shop")])
        assert [item.ok for item in found] == [None, False]

    def test_one_service_is_no_excuse_for_another(self):
        checks = [a_check("service", ok=False, service="shop"), a_check("tasks", ok=False, service="till")]
        assert [item.ok for item in checkup.settle(checks)] == [False, False]

    def test_every_check_that_another_needs_is_one_that_is_made(self):
        needed = {name for row in (*ROWS.values(), QUERY, PLAN) for name in row.needs}
        assert needed <= {*ROWS}

    def test_no_check_needs_itself_or_one_that_needs_it(self):
        def all_needs(name, seen=()):
            assert name not in seen, seen
            return {item for need in row_of(name).needs for item in (need, *all_needs(need, (*seen, name)))}

        assert all_needs("rollback-plan") >= {"aws-identity", "cluster", "deployments", "docker-engine"}
        for name in ROWS:
            all_needs(name)


def test_a_services_checks_are_reported_in_one_order_and_the_queries_last():
    names = ["prometheus-usual", "database", "prometheus-cpu-share", "service"]
    text = checkup.in_order(a_check(name, ok=True) for name in names)
    assert [item.name for item in text] == ["service", "database", "prometheus-usual", "prometheus-cpu-share"]
