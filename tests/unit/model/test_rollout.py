from datetime import timedelta

import pytest

from runbook_model.releases.history import OwnRollback, ServiceDeployment
from runbook_model.releases.release import ROLLING_BACK, Deployment
from runbook_model.releases.rollout import Awaited, Phase, judge_rollout
from tests.ecs_facts import (
    NOW,
    a_deployment,
    a_release,
    a_service,
    deployment_arn,
    revision_arn,
    task_definition,
)
from tests.observing import a_target

OLD, NEW = task_definition(2), task_definition(1)
OURS = a_deployment(3, NEW)


def awaiting(**changes: object) -> Awaited:
    """Our deployment is ``ecs-svc/3``, of release 1, brought by service deployment 3."""
    awaited = Awaited(
        target=a_target(),
        deployment="ecs-svc/3",
        task_definition=NEW,
        service_deployment=deployment_arn(3),
        deadline=NOW + timedelta(minutes=30),
    )
    return awaited.model_copy(update=changes)


def own(status: str, **changes: object) -> ServiceDeployment:
    made = ServiceDeployment(
        arn=deployment_arn(3), status=status, created_at=NOW, revision=revision_arn(3), release=a_release(1)
    )
    return made.model_copy(update=changes)


def old(**changes: object) -> Deployment:
    return a_deployment(2, OLD, status="ACTIVE", **{"running": 0, **changes})


def phase(service, made=None, **changes: object) -> Phase:
    return judge_rollout(awaiting(**changes), service, made).phase


class TestSteady:
    def test_is_our_deployment_alone_with_all_its_tasks(self):
        rollout = judge_rollout(awaiting(), a_service(OURS, number=3))
        assert (rollout.phase, rollout.detail, rollout.at) == (Phase.STEADY, "2 of 2 tasks run", NOW)

    @pytest.mark.parametrize(
        "changes",
        [
            {"rollout_state": "IN_PROGRESS"},
            {"running": 1},
            {"running": 3},
            {"pending": 1},
            {"desired": 1, "running": 1},
        ],
    )
    def test_is_not_our_deployment_while_anything_is_missing(self, changes):
        assert phase(a_service(OURS.model_copy(update=changes), number=3)) is Phase.PROGRESSING

    @pytest.mark.parametrize("left", [{"running": 1}, {"running": 0, "pending": 1}])
    def test_is_not_while_an_old_task_is_left_although_ecs_says_completed(self, left):
        rollout = judge_rollout(awaiting(), a_service(OURS, old(**left), number=3))
        assert (rollout.phase, rollout.detail) == (
            Phase.PROGRESSING,
            "2 of 2 tasks run; 1 of the old release remain",
        )

    def test_is_with_an_old_deployment_that_has_no_tasks(self):
        assert phase(a_service(OURS, old(), number=3)) is Phase.STEADY

    def test_is_not_the_old_deployment_just_after_an_update(self):
        assert phase(a_service(a_deployment(2, OLD), number=3)) is Phase.UNKNOWN
        assert phase(a_service(a_deployment(2, OLD), number=3), own("PENDING")) is Phase.UNKNOWN

    def test_is_not_another_deployment_of_our_very_release(self):
        assert phase(a_service(a_deployment(4, NEW), number=3)) is Phase.UNKNOWN

    def test_counts_are_reported_while_it_continues(self):
        busy = OURS.model_copy(
            update={"running": 0, "pending": 1, "failed_tasks": 3, "rollout_state": "IN_PROGRESS"}
        )
        assert (
            judge_rollout(awaiting(), a_service(busy, number=3)).detail
            == "0 of 2 tasks run, 1 start, 3 failed"
        )


class TestBehindAClassicLoadBalancer:
    SERVICE = a_service(OURS.model_copy(update={"rollout_state": None}), number=3)

    def test_the_service_alone_does_not_say(self):
        assert phase(self.SERVICE) is Phase.UNKNOWN

    def test_the_service_deployment_tells(self):
        assert phase(self.SERVICE, own("IN_PROGRESS")) is Phase.PROGRESSING
        assert phase(self.SERVICE, own("SUCCESSFUL")) is Phase.STEADY

    def test_the_counts_must_do_where_there_is_no_service_deployment(self):
        assert phase(self.SERVICE, service_deployment=None) is Phase.STEADY

    def test_missing_tasks_are_no_riddle(self):
        service = a_service(OURS.model_copy(update={"rollout_state": None, "running": 1}), number=3)
        assert phase(service) is Phase.PROGRESSING


class TestFailed:
    def test_is_our_deployment_when_ecs_says_so(self):
        broken = OURS.model_copy(
            update={"rollout_state": "FAILED", "rollout_reason": "tasks failed to start"}
        )
        rollout = judge_rollout(awaiting(), a_service(broken, number=3))
        assert (rollout.phase, rollout.detail) == (
            Phase.FAILED,
            "the deployment failed: tasks failed to start",
        )

    @pytest.mark.parametrize("status", sorted(ROLLING_BACK | {"ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"}))
    def test_is_our_deployment_when_the_circuit_breaker_put_the_old_one_back(self, status):
        steady_again = a_service(a_deployment(2, OLD), number=3)
        made = own(status, rollback=OwnRollback(reason="circuit breaker", revision=revision_arn(2)))
        rollout = judge_rollout(awaiting(), steady_again, made)
        assert rollout.phase is Phase.FAILED
        assert rollout.detail == "ECS rolled the deployment back by itself: circuit breaker"

    def test_names_the_alarms_that_did_it(self):
        made = own("ROLLBACK_SUCCESSFUL", reason="alarm", alarms=("errors-high",))
        assert judge_rollout(awaiting(), a_service(a_deployment(2, OLD), number=3), made).detail.endswith(
            "alarm (alarms: errors-high)"
        )

    def test_is_a_stopped_deployment(self):
        assert phase(a_service(a_deployment(2, OLD), number=3), own("STOPPED")) is Phase.FAILED

    def test_is_a_service_that_wants_no_tasks(self):
        nothing = OURS.model_copy(update={"desired": 0, "running": 0})
        assert phase(a_service(nothing, number=3, desired=0, running=0)) is Phase.FAILED

    @pytest.mark.parametrize("status", ["DRAINING", "INACTIVE"])
    def test_is_a_service_that_goes_away(self, status):
        assert phase(a_service(OURS, number=3, status=status)) is Phase.FAILED


class TestSuperseded:
    NEWER = a_service(a_deployment(4, task_definition(5)), number=4)

    @pytest.mark.parametrize("status", ["STOPPED", "IN_PROGRESS", "SUCCESSFUL"])
    def test_is_our_deployment_when_a_newer_one_started(self, status):
        rollout = judge_rollout(awaiting(), self.NEWER, own(status))
        assert (rollout.phase, rollout.detail) == (
            Phase.SUPERSEDED,
            "a newer deployment brings shop:5; this run does not touch it",
        )

    def test_is_unknown_without_the_service_deployment(self):
        assert phase(self.NEWER) is Phase.UNKNOWN

    def test_is_a_rollback_when_a_newer_deployment_started(self):
        assert phase(self.NEWER, own("ROLLBACK_IN_PROGRESS"), kind="rollback") is Phase.SUPERSEDED


class TestARollbackByEcs:
    LANDED = OwnRollback(reason="stopped", revision=revision_arn(2))
    BACK = a_service(a_deployment(2, OLD), number=3, service_revisions=(revision_arn(2),))

    def test_is_steady_once_the_old_revision_runs_again(self):
        assert (
            phase(self.BACK, own("ROLLBACK_SUCCESSFUL", rollback=self.LANDED), kind="rollback")
            is Phase.STEADY
        )

    def test_is_asked_of_the_service_deployment(self):
        assert phase(self.BACK, kind="rollback") is Phase.UNKNOWN

    @pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS", *sorted(ROLLING_BACK)])
    def test_continues_until_ecs_says_that_it_is_done(self, status):
        assert phase(self.BACK, own(status), kind="rollback") is Phase.PROGRESSING

    def test_continues_while_another_revision_runs_than_it_lands_on(self):
        elsewhere = a_service(a_deployment(3, NEW), number=3, service_revisions=(revision_arn(3),))
        assert (
            phase(elsewhere, own("ROLLBACK_SUCCESSFUL", rollback=self.LANDED), kind="rollback")
            is Phase.PROGRESSING
        )

    @pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "STOPPED", "SUCCESSFUL"])
    def test_has_failed_when_the_deployment_ended_otherwise(self, status):
        rollout = judge_rollout(awaiting(kind="rollback"), self.BACK, own(status))
        assert (rollout.phase, rollout.detail) == (
            Phase.FAILED,
            f"ECS did not roll back: the service deployment is {status}",
        )
