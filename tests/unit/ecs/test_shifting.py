"""Deployments that shift traffic: what is read of them, how far one is, and whether traffic has arrived."""

from datetime import timedelta

import pytest
from botocore.stub import Stubber

from activities.ecs.changes import EcsChanges
from activities.ecs.orders import StopDeployment
from activities.ecs.reading import read_service_deployment, read_service_state
from activities.ecs.shifting import read_shifting
from activities.ecs.traffic import read_traffic
from activities.ecs.waits import AwaitedDrift, Waits
from runbook_model.errors import EndedError, PolicyError
from runbook_model.releases.arriving import Traffic, judge_shift, judge_traffic
from runbook_model.releases.release import Fence
from runbook_model.releases.rollout import Awaited, Phase
from runbook_model.releases.shifting import Moment
from tests.aws_answers import HERE, Ecs, service, services
from tests.ecs_facts import NOW, a_release, deployment_arn, revision_arn, task_definition
from tests.observing import a_target
from tests.unit.runtime.test_fence import Attempt, fails

TARGET = a_target(service="shop", cluster="prod", ecs_service="shop")
RULE = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener-rule/app/shop/1/2/3"
BLUE, GREEN = (
    f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/1" for name in ("b", "g")
)
CANARY = {
    "strategy": "CANARY",
    "bakeTimeInMinutes": 15,
    "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 5},
}
BALANCER = {
    "targetGroupArn": BLUE,
    "containerName": "app",
    "advancedConfiguration": {"alternateTargetGroupArn": GREEN, "productionListenerRule": RULE},
}


def hook(kind, *stages, minutes=None):
    timeout = {"timeoutConfiguration": {"timeoutInMinutes": minutes}} if minutes else {}
    return {"targetType": kind, "lifecycleStages": list(stages), **timeout}


def a_state(**more):
    return read_service_state(service(3, 1, deploymentConfiguration=CANARY, loadBalancers=[BALANCER], **more))


def under_way(status="IN_PROGRESS", stage=None, share=0.0, **more):
    """Service deployment 3, of release 1, which brings revision 3 in place of revision 2."""
    found = {
        "serviceDeploymentArn": deployment_arn(3),
        "status": status,
        "createdAt": NOW,
        "deploymentConfiguration": CANARY,
        "targetServiceRevision": {
            "arn": revision_arn(3),
            "requestedTaskCount": 2,
            "runningTaskCount": 2,
            "requestedProductionTrafficWeight": share,
        },
        "sourceServiceRevisions": [
            {"arn": revision_arn(2), "requestedProductionTrafficWeight": 100.0 - share}
        ],
    }
    return {**found, **({"lifecycleStage": stage} if stage else {}), **more}


def read(*given, **more):
    return read_service_deployment(under_way(*given, **more), a_release(1))


def awaiting(**changes):
    awaited = Awaited(
        target=TARGET,
        deployment="ecs-svc/3",
        task_definition=task_definition(1),
        service_deployment=deployment_arn(3),
        replaces=deployment_arn(2),
        deadline=NOW + timedelta(minutes=30),
    )
    return awaited.model_copy(update=changes)


def phase(own, **changes):
    return judge_shift(awaiting(**changes), a_state(), own).phase


class TestSettings:
    @pytest.mark.parametrize(
        ("configuration", "steps", "minutes"),
        [
            ({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 15}, 1, 15),
            ({"strategy": "LINEAR"}, 10, 54),
            ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 40.0, "stepBakeTimeInMinutes": 2}}, 3, 4),
            ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 100.0, "stepBakeTimeInMinutes": 2}}, 1, 0),
            ({"strategy": "CANARY"}, 2, 10),
            ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 100.0}}, 1, 0),
            (CANARY, 2, 20),
        ],
    )  # fmt: skip
    def test_say_how_many_steps_there_are_and_how_long_they_wait(self, configuration, steps, minutes):
        found = read_shifting(configuration)
        assert (found.steps, found.waits) == (steps, timedelta(minutes=minutes))

    @pytest.mark.parametrize("configuration", [{}, {"strategy": "ROLLING"}, {"strategy": "SPIRAL"}])
    def test_are_none_where_no_traffic_is_shifted(self, configuration):
        assert read_shifting(configuration) is None

    def test_count_a_hook_for_every_step_and_those_of_one_stage_once(self):
        hooks = [
            hook("PAUSE", "PRE_PRODUCTION_TRAFFIC_SHIFT", minutes=60),
            hook("AWS_LAMBDA", "PRE_PRODUCTION_TRAFFIC_SHIFT", minutes=10),
            hook("AWS_LAMBDA", "PRODUCTION_TRAFFIC_SHIFT", "POST_SCALE_UP", minutes=5),
        ]
        found = read_shifting({**CANARY, "lifecycleHooks": hooks})
        assert found.hooks_take == timedelta(minutes=2 * 60 + 2 * 5 + 5)
        assert found.hooks_on_the_way_back == timedelta(minutes=5)
        assert found.longest == timedelta(minutes=20) + found.hooks_take
        assert (found.pauses, found.called[0]) == (
            ("PRE_PRODUCTION_TRAFFIC_SHIFT",),
            "PRE_PRODUCTION_TRAFFIC_SHIFT",
        )

    def test_are_said_in_sentences(self):
        hooks = [hook("PAUSE", "POST_TEST_TRAFFIC_SHIFT", minutes=60)]
        alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
        said = list(read_shifting({**CANARY, "lifecycleHooks": hooks, "alarms": alarms}).sentences())
        assert said == [
            "CANARY: 10 % of the traffic, 5 min later all of it, then 15 min of bake time.",
            (
                "It pauses at POST_TEST_TRAFFIC_SHIFT until somebody continues it "
                "(aws ecs continue-service-deployment); this run does not."
            ),
            "Alarms that end it: errors; one that fires already when it begins is ignored by ECS.",
            "At the longest it takes 20m of waits, up to 1h of hooks, and the time that tasks need to start.",
        ]

    def test_are_those_of_the_service_with_the_rules_that_hold_its_weights(self):
        state = a_state()
        assert (state.strategy, state.shifting.rules) == ("CANARY", (RULE,))
        assert read_service_state(service()).shifting is None


class TestMoments:
    @pytest.mark.parametrize(
        ("status", "stage", "moment"),
        [
            ("PENDING", None, Moment.PENDING),
            ("IN_PROGRESS", None, Moment.PENDING),
            ("IN_PROGRESS", "RECONCILE_SERVICE", Moment.SCALING_UP),
            ("IN_PROGRESS", "SCALE_UP", Moment.SCALING_UP),
            ("IN_PROGRESS", "POST_TEST_TRAFFIC_SHIFT", Moment.TEST_TRAFFIC),
            ("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", Moment.SHIFTING),
            ("IN_PROGRESS", "BAKE_TIME", Moment.BAKING),
            ("IN_PROGRESS", "CLEAN_UP", Moment.CLEANING_UP),
            ("IN_PROGRESS", "A_STAGE_OF_TOMORROW", Moment.ON_THE_WAY),
            ("SUCCESSFUL", "CLEAN_UP", Moment.FINISHED),
            ("STOPPED", "SCALE_UP", Moment.ENDED),
            ("ROLLBACK_FAILED", "SCALE_UP", Moment.ENDED),
            ("ROLLBACK_REQUESTED", "BAKE_TIME", Moment.ROLLING_BACK),
            ("ROLLBACK_IN_PROGRESS", "CLEAN_UP", Moment.ROLLING_BACK),
            ("STOP_REQUESTED", "BAKE_TIME", Moment.ROLLING_BACK),
        ],
    )
    def test_are_found_by_status_and_stage(self, status, stage, moment):
        own = read(status, stage)
        assert own.shift.moment(own.status) is moment
        assert own.cleaning_up is (moment is Moment.CLEANING_UP)

    def test_a_pause_hook_that_waits_is_seen_with_its_end(self):
        details = [
            {
                "hookId": "ecs-pause-1",
                "status": "AWAITING_ACTION",
                "expiresAt": NOW,
                "timeoutAction": "CONTINUE",
            },
            {"hookId": "ecs-lambda-2", "status": "SUCCEEDED"},
        ]
        own = read("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 10.0, lifecycleHookDetails=details)
        assert own.shift.moment(own.status) is Moment.PAUSED
        assert own.shift.summary(own.status) == (
            "it waits at a pause hook (ecs-pause-1; at 2026-03-01 03:00 UTC: CONTINUE); "
            "10 % of production traffic is requested for it"
        )


class TestArrived:
    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            (("PENDING",), Phase.PROGRESSING),
            (("IN_PROGRESS", "SCALE_UP"), Phase.PROGRESSING),
            (("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 10.0), Phase.PROGRESSING),
            (("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 100.0), Phase.PROGRESSING),
            (("IN_PROGRESS", "POST_PRODUCTION_TRAFFIC_SHIFT", 100.0), Phase.STEADY),
            (("IN_PROGRESS", "BAKE_TIME", 100.0), Phase.STEADY),
            (("IN_PROGRESS", "BAKE_TIME", 50.0), Phase.PROGRESSING),
            (("IN_PROGRESS", "CLEAN_UP", 100.0), Phase.STEADY),
            (("IN_PROGRESS", "A_STAGE_OF_TOMORROW", 100.0), Phase.PROGRESSING),
            (("SUCCESSFUL", "CLEAN_UP", 100.0), Phase.STEADY),
            (("ROLLBACK_REQUESTED", "BAKE_TIME", 100.0), Phase.FAILED),
            (("ROLLBACK_SUCCESSFUL",), Phase.FAILED),
            (("STOPPED", "BAKE_TIME", 100.0), Phase.FAILED),
        ],
    )
    def test_is_a_deployment_with_all_traffic_and_not_one_that_has_ended(self, given, seen):
        assert phase(read(*given)) is seen

    @pytest.mark.parametrize(
        ("given", "seen"),
        [
            (("ROLLBACK_REQUESTED", "BAKE_TIME", 0.0), Phase.PROGRESSING),
            (("ROLLBACK_IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 10.0), Phase.PROGRESSING),
            (("ROLLBACK_IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 0.0), Phase.STEADY),
            (("ROLLBACK_IN_PROGRESS", "A_STAGE_OF_TOMORROW", 0.0), Phase.STEADY),
            (("ROLLBACK_IN_PROGRESS", "CLEAN_UP", None), Phase.PROGRESSING),
            (("ROLLBACK_FAILED",), Phase.FAILED),
            (("SUCCESSFUL",), Phase.FAILED),
            (("STOPPED",), Phase.FAILED),
        ],
    )
    def test_is_a_rollback_once_traffic_is_back_whatever_stage_is_shown(self, given, seen):
        status, *rest = given
        if rest[1:] == [None]:
            own = read(
                status,
                rest[0],
                0.0,
                targetServiceRevision={"arn": revision_arn(3)},
                sourceServiceRevisions=[],
            )
        else:
            own = read(*given)
        assert phase(own, kind="rollback") is seen

    def test_waits_at_a_pause_hook_until_everybody_concerned_knows_of_it(self):
        details = [
            {"hookId": f"ecs-pause-{n}", "status": "AWAITING_ACTION", "expiresAt": NOW} for n in (1, 2)
        ]
        own = read("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 10.0, lifecycleHookDetails=details)
        assert phase(own) is Phase.PROGRESSING
        assert phase(own, kind="rollback", announced=()) is Phase.PROGRESSING
        seen = judge_shift(awaiting(announced=("ecs-pause-1",)), a_state(), own)
        assert (seen.phase, seen.stage, seen.announced) == (
            Phase.PAUSED, "PRODUCTION_TRAFFIC_SHIFT", ("ecs-pause-1",),
        )  # fmt: skip
        assert [hook.id for hook in seen.paused] == ["ecs-pause-2"]
        assert phase(own, announced=("ecs-pause-1", "ecs-pause-2")) is Phase.PROGRESSING
        of_another = judge_shift(
            awaiting(announced=()), a_state(currentServiceDeployment=deployment_arn(9)), own
        )
        assert (of_another.phase, of_another.paused) == (Phase.SUPERSEDED, ())

    def test_is_not_the_end_that_is_waited_for_while_it_bakes(self):
        assert phase(read("IN_PROGRESS", "BAKE_TIME", 100.0), until="end") is Phase.PROGRESSING
        assert phase(read("SUCCESSFUL"), until="end") is Phase.STEADY
        going = read("ROLLBACK_IN_PROGRESS", "CLEAN_UP", 0.0)
        assert phase(going, kind="rollback", until="end") is Phase.PROGRESSING

    def test_is_never_the_deployment_before_it_nor_a_newer_one(self):
        before = read("SUCCESSFUL").model_copy(update={"arn": deployment_arn(2)})
        assert phase(before) is Phase.PROGRESSING
        seen = judge_shift(
            awaiting(), a_state(currentServiceDeployment=deployment_arn(9)), read("SUCCESSFUL")
        )
        assert seen.phase is Phase.SUPERSEDED
        assert phase(None) is Phase.UNKNOWN

    def test_takes_as_long_as_its_own_configuration_says(self):
        assert judge_shift(awaiting(), a_state(), read()).takes == timedelta(minutes=20)
        assert judge_shift(awaiting(until="end"), a_state(), read()).takes == timedelta(0)
        assert judge_shift(awaiting(kind="rollback"), a_state(), read()).takes == timedelta(0)

    @pytest.mark.parametrize(
        ("traffic", "seen", "words"),
        [
            (Traffic(share=100.0, healthy=2), Phase.STEADY, "by the rules' weights"),
            (Traffic(share=10.0, healthy=2), Phase.PROGRESSING, "the rules still send only 10 % there"),
            (Traffic(share=100.0, healthy=1), Phase.PROGRESSING, "1 of 2 targets there are healthy"),
            (Traffic(unread="not allowed"), Phase.STEADY, "by the weights that ECS requested (not allowed)"),
        ],
    )
    def test_is_what_the_load_balancer_says_where_that_can_be_read(self, traffic, seen, words):
        arrived = judge_shift(awaiting(), a_state(), read("IN_PROGRESS", "BAKE_TIME", 100.0))
        found = judge_traffic(arrived, a_state(), traffic)
        assert found.phase is seen
        assert words in found.detail


def revisions(number, group):
    resolved = {"loadBalancers": [{"targetGroupArn": group, "productionListenerRule": RULE}]}
    item = {"serviceRevisionArn": revision_arn(number), "taskDefinition": task_definition(1)}
    return {"serviceRevisions": [{**item, "resolvedConfiguration": resolved}]}


class TestTraffic:
    @pytest.fixture
    def ecs(self):
        return Ecs()

    @pytest.fixture
    def elb(self, ecs):
        with Stubber(ecs.clients.elb(HERE)) as stub:
            yield stub

    def test_is_read_from_the_rules_and_the_targets_of_the_revisions_group(self, ecs, elb):
        ecs.answers("describe_service_revisions", revisions(3, GREEN))
        weights = [{"TargetGroupArn": BLUE, "Weight": 3}, {"TargetGroupArn": GREEN, "Weight": 1}]
        actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}]
        elb.add_response("describe_rules", {"Rules": [{"Actions": actions}]}, {"RuleArns": [RULE]})
        targets = [{"TargetHealth": {"State": state}} for state in ("healthy", "healthy", "draining")]
        elb.add_response(
            "describe_target_health", {"TargetHealthDescriptions": targets}, {"TargetGroupArn": GREEN}
        )
        with ecs.asked_for_exactly_this():
            assert read_traffic(ecs.clients, TARGET, revision_arn(3), (RULE,)) == Traffic(
                share=25.0, healthy=2
            )

    def test_is_not_known_without_the_permission(self, ecs, elb):
        ecs.answers("describe_service_revisions", revisions(3, GREEN))
        elb.add_client_error("describe_rules", "AccessDenied", "no", 403)
        with ecs.asked_for_exactly_this():
            found = read_traffic(ecs.clients, TARGET, revision_arn(3), (RULE,))
        assert (found.share, found.healthy) == (None, None)
        assert "describe the listener rule" in found.unread

    @pytest.mark.parametrize(
        "rules", [(), ("arn:aws:elasticloadbalancing:us-east-1:1:listener/net/shop/1/2",)]
    )
    def test_is_not_asked_for_where_no_rule_holds_weights(self, ecs, rules):
        with ecs.asked_for_exactly_this():
            assert read_traffic(ecs.clients, TARGET, revision_arn(3), rules).unread


FENCE = Fence(primary="ecs-svc/3", task_definition=task_definition(1), service_deployment=deployment_arn(3))
STOP = StopDeployment(target=TARGET, service_deployment=deployment_arn(3), fence=FENCE)


class TestStopping:
    @pytest.fixture
    def ecs(self):
        return Ecs()

    def looked(self, ecs, *given, **more):
        ecs.answers("describe_service_deployments", {"serviceDeployments": [under_way(*given, **more)]})
        ecs.answers("describe_services", services(service(3, 1)))

    @pytest.mark.parametrize(
        "given", [("PENDING",), ("IN_PROGRESS", "SCALE_UP"), ("IN_PROGRESS", "BAKE_TIME", 100.0)]
    )
    def test_is_sent_while_the_old_tasks_run(self, ecs, given):
        self.looked(ecs, *given)
        asked = {"serviceDeploymentArn": deployment_arn(3), "stopType": "ROLLBACK"}
        ecs.answers("stop_service_deployment", {"serviceDeploymentArn": deployment_arn(3)}, asked)
        with ecs.asked_for_exactly_this():
            assert not Attempt()(EcsChanges(ecs.clients).stop_deployment, STOP).adopted

    @pytest.mark.parametrize("given", [("IN_PROGRESS", "CLEAN_UP", 100.0), ("SUCCESSFUL", "CLEAN_UP", 100.0)])
    def test_is_not_sent_any_more_once_they_end_and_nothing_else_is(self, ecs, given):
        self.looked(ecs, *given)
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(), EcsChanges(ecs.clients).stop_deployment, STOP, EndedError)
        assert error.certainly_not_made

    def test_of_ones_own_deployment_is_sent_to_no_other_release(self, ecs):
        self.looked(ecs, "IN_PROGRESS", "BAKE_TIME", 100.0)
        ecs.answers("describe_service_revisions", revisions(3, GREEN))
        order = STOP.model_copy(update={"brings": a_release(7)})
        with ecs.asked_for_exactly_this():
            error = fails(Attempt(), EcsChanges(ecs.clients).stop_deployment, order, PolicyError)
        assert "does not bring shop:7" in error.message

    async def test_a_plan_to_stop_is_void_once_the_old_tasks_end(self, ecs):
        for stage in ("BAKE_TIME", "CLEAN_UP"):
            ecs.answers("describe_services", services(service(3, 1)))
            ecs.answers(
                "describe_service_deployments",
                {"serviceDeployments": [under_way("IN_PROGRESS", stage, 100.0)]},
            )
        awaited = AwaitedDrift(target=TARGET, fence=FENCE, under_way=deployment_arn(3))
        with ecs.asked_for_exactly_this():
            state = await Attempt()(Waits(ecs.clients).await_drift, awaited)
        assert state.fence == FENCE
