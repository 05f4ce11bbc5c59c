"""The waits of a deployment configuration: taken out with an update, and put back after it; and pauses that are continued."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.ecs.changes import EcsChanges
from activities.ecs.configuring import EcsConfiguration, PutSettingsBack
from activities.ecs.orders import DeployRelease
from activities.ecs.pausing import ContinueDeployment, EcsPauses
from runbook_model.errors import DriftedError, PolicyError
from runbook_model.releases.configuring import fingerprint, read_settings
from runbook_model.releases.release import Fence
from tests.aws_answers import Ecs, service, services
from tests.ecs_facts import NOW, a_release, deployment_arn, revision_arn, task_definition
from tests.observing import a_target
from tests.unit.runtime.test_fence import Attempt, fails

TARGET = a_target(service="shop", cluster="prod", ecs_service="shop")
KEPT = {
    "deploymentCircuitBreaker": {"enable": True, "rollback": True},
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}],
    "alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True},
}
CANARY = {
    **KEPT,
    "strategy": "CANARY",
    "bakeTimeInMinutes": 15,
    "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5},
}
QUICK = {
    **CANARY,
    "bakeTimeInMinutes": 0,
    "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 0},
}
SETTINGS = read_settings(CANARY)
PUT_BACK = PutSettingsBack(target=TARGET, settings=SETTINGS)
FENCE = Fence(primary="ecs-svc/2", task_definition=task_definition(2), service_deployment=deployment_arn(2))
DEPLOY = DeployRelease(target=TARGET, release=a_release(1), fence=FENCE, settings=SETTINGS)
CONTINUE = ContinueDeployment(
    target=TARGET,
    service_deployment=deployment_arn(3),
    hook="ecs-pause-1",
    brings=a_release(1),
    planned_on=FENCE,
)


def long_ago():
    return (datetime.now(UTC) - timedelta(minutes=1)).isoformat()


@pytest.fixture
def ecs():
    return Ecs()


class TestSettings:
    @pytest.mark.parametrize(
        ("configuration", "waits", "quick"),
        [
            ({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 15}, "bakeTimeInMinutes 15", "bakeTimeInMinutes 0"),
            ({"strategy": "LINEAR"}, "bakeTimeInMinutes 0, stepBakeTimeInMinutes 6", "bakeTimeInMinutes 0, stepBakeTimeInMinutes 0"),
            (CANARY, "bakeTimeInMinutes 15, canaryBakeTimeInMinutes 5", "bakeTimeInMinutes 0, canaryBakeTimeInMinutes 0"),
        ],
    )  # fmt: skip
    def test_name_the_waits_that_are_taken_out_and_put_back(self, configuration, waits, quick):
        settings = read_settings(configuration)
        assert (settings.words(quick=False), settings.words(quick=True)) == (waits, quick)
        without = settings.without_waits(configuration)
        assert fingerprint(without) == settings.quick != settings.was
        assert fingerprint(settings.put_back(without)) == settings.was

    def test_leave_everything_else_as_it_is(self):
        assert SETTINGS.without_waits(CANARY) == QUICK
        assert SETTINGS.put_back(QUICK) == CANARY

    def test_hold_nothing_of_the_configuration_but_its_waits_and_hashes(self):
        assert set(SETTINGS.model_dump()) == {"strategy", "bake_minutes", "step_minutes", "was", "quick"}

    def test_count_a_wait_that_is_not_given_as_the_one_that_ecs_takes(self):
        default = {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 10.0}}
        given = {
            **default,
            "bakeTimeInMinutes": 0,
            "linearConfiguration": {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6},
        }
        assert fingerprint(default) == fingerprint(given)

    def test_have_no_waits_to_take_out_where_there_are_none(self):
        assert not read_settings(QUICK).waits


class TestUpdating:
    def test_without_waits_is_one_call_that_keeps_everything_else(self, ecs):
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.answers("describe_services", services(service(2, 2, deploymentConfiguration=CANARY)))
        update = {"cluster": "prod", "service": "shop", "taskDefinition": task_definition(1)}
        ecs.answers(
            "update_service", {"service": service(3, 1)}, {**update, "deploymentConfiguration": QUICK}
        )
        with ecs.asked_for_exactly_this():
            Attempt()(EcsChanges(ecs.clients).deploy_release, DEPLOY)

    def test_is_not_sent_over_a_configuration_that_somebody_changed(self, ecs):
        theirs = {**CANARY, "bakeTimeInMinutes": 30}
        ecs.answers("describe_services", services(service(2, 2)))
        ecs.answers("describe_services", services(service(2, 2, deploymentConfiguration=theirs)))
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(), EcsChanges(ecs.clients).deploy_release, DEPLOY, DriftedError)
        assert error.certainly_not_made


class TestPuttingBack:
    def now(self, ecs, configuration):
        ecs.answers("describe_services", services(service(3, 1, deploymentConfiguration=configuration)))

    def made(self, ecs, *attempt):
        with ecs.asked_for_exactly_this():
            return Attempt(*attempt)(EcsConfiguration(ecs.clients).put_settings_back, PUT_BACK)

    @pytest.mark.parametrize("attempt", [(), (2, long_ago())])
    def test_is_one_update_of_the_configuration_alone(self, ecs, attempt):
        self.now(ecs, QUICK)
        update = {"cluster": "prod", "service": "shop", "deploymentConfiguration": CANARY}
        ecs.answers("update_service", {"service": service(3, 1)}, update)
        assert self.made(ecs, *attempt).changed

    def test_is_done_where_an_earlier_attempt_did_it(self, ecs):
        self.now(ecs, CANARY)
        assert self.made(ecs, 2, long_ago()).changed

    def test_is_not_needed_where_it_was_never_changed(self, ecs):
        self.now(ecs, CANARY)
        assert not self.made(ecs).changed

    @pytest.mark.parametrize("attempt", [(), (2, long_ago())])
    @pytest.mark.parametrize("theirs", [{"bakeTimeInMinutes": 7}, {"alarms": {"alarmNames": [], "enable": False, "rollback": False}}])  # fmt: skip
    def test_never_overwrites_what_somebody_else_set(self, ecs, attempt, theirs):
        self.now(ecs, {**QUICK, **theirs})
        with ecs.asked_for_exactly_this():
            error = fails(
                Attempt(*attempt), EcsConfiguration(ecs.clients).put_settings_back, PUT_BACK, DriftedError
            )
        assert "bakeTimeInMinutes 15" in error.fix


class TestContinuing:
    def looked(self, ecs, status="AWAITING_ACTION", *, brings=1, current=3):
        details = [{"hookId": "ecs-pause-1", "status": status}]
        found = {
            "serviceDeploymentArn": deployment_arn(3), "status": "IN_PROGRESS", "createdAt": NOW,
            "targetServiceRevision": {"arn": revision_arn(3)}, "lifecycleHookDetails": details,
        }  # fmt: skip
        ecs.answers("describe_services", services(service(current, 1)))
        if current != 3:
            return
        ecs.answers("describe_service_deployments", {"serviceDeployments": [found]})
        revision = {"serviceRevisionArn": revision_arn(3), "taskDefinition": task_definition(brings)}
        ecs.answers("describe_service_revisions", {"serviceRevisions": [revision]})

    def test_answers_the_hook_of_the_runs_own_deployment(self, ecs):
        self.looked(ecs)
        asked = {"serviceDeploymentArn": deployment_arn(3), "hookId": "ecs-pause-1", "action": "CONTINUE"}
        ecs.answers("continue_service_deployment", {"serviceDeploymentArn": deployment_arn(3)}, asked)
        with ecs.asked_for_exactly_this():
            assert Attempt()(EcsPauses(ecs.clients).continue_deployment, CONTINUE).detail == "continued"

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT"])
    def test_answers_nothing_that_waits_no_longer(self, ecs, status):
        self.looked(ecs, status)
        with ecs.asked_for_exactly_this():
            continued = Attempt(2, long_ago())(EcsPauses(ecs.clients).continue_deployment, CONTINUE)
        assert continued.detail == f"it waits no longer: {status}"

    def test_never_answers_for_another_release(self, ecs):
        self.looked(ecs, brings=5)
        with ecs.asked_for_exactly_this():
            fails(Attempt(), EcsPauses(ecs.clients).continue_deployment, CONTINUE, PolicyError)

    def test_never_answers_for_a_newer_deployment(self, ecs):
        self.looked(ecs, current=9)
        with ecs.asked_for_exactly_this():
            fails(Attempt(), EcsPauses(ecs.clients).continue_deployment, CONTINUE, DriftedError)

    def test_never_answers_for_the_deployment_that_ran_when_it_was_planned(self, ecs):
        before = CONTINUE.model_copy(
            update={"planned_on": FENCE.model_copy(update={"service_deployment": deployment_arn(3)})}
        )
        ecs.answers("describe_services", services(service(3, 1)))
        with ecs.asked_for_exactly_this():
            fails(Attempt(), EcsPauses(ecs.clients).continue_deployment, before, DriftedError)
