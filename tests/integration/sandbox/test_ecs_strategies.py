"""Services whose deployments shift traffic, by boto3 over the wire; the stages themselves are tried in the unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError
from ecs_world import CLUSTER, SERVICE, Script, primary

from activities.ecs.reading import read_service_deployment, read_service_state
from runbook_model.releases.arriving import count_serving
from runbook_model.releases.release import Release

if TYPE_CHECKING:
    from ecs_world import World

pytestmark = pytest.mark.rare

ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
ONE, TWO = f"{ELB}:targetgroup/one/0123456789abcdef", f"{ELB}:targetgroup/two/0123456789abcdef"
RULE = f"{ELB}:listener-rule/app/shop/0123456789abcdef/0123456789abcdef/0123456789abcdef"
TEST_RULE = f"{ELB}:listener-rule/app/shop/0123456789abcdef/0123456789abcdef/fedcba9876543210"
PAIR = {
    "targetGroupArn": ONE,
    "containerName": "app",
    "containerPort": 8000,
    "advancedConfiguration": {
        "alternateTargetGroupArn": TWO,
        "productionListenerRule": RULE,
        "testListenerRule": TEST_RULE,
        "roleArn": "arn:aws:iam::123456789012:role/ecs-elb",
    },
}
PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}
FUNCTION = {
    "hookTargetArn": "arn:aws:lambda:us-east-1:123456789012:function:check",
    "roleArn": "arn:aws:iam::123456789012:role/hooks",
    "lifecycleStages": ["POST_SCALE_UP"],
}
BLUE_GREEN: dict[str, Any] = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1440}


def start(world: World, **configuration: Any) -> None:
    world.start_service(loadBalancers=[PAIR], deploymentConfiguration=BLUE_GREEN | configuration)


def weights(world: World, rule: str = RULE) -> dict[str, int]:
    (found,) = world.client("elbv2").describe_rules(RuleArns=[rule])["Rules"]
    groups = found["Actions"][0]["ForwardConfig"]["TargetGroups"]
    return {group["TargetGroupArn"].split("/")[1]: group["Weight"] for group in groups}


def at(world: World, stage: str) -> dict[str, Any]:
    return world.until(
        lambda: found if (found := world.deployment()).get("lifecycleStage") == stage else None
    )


def ended(world: World, status: str) -> dict[str, Any]:
    return world.until(lambda: found if (found := world.deployment())["status"] == status else None)


def group_of(world: World, revision: str) -> str:
    (found,) = world.ecs.describe_service_revisions(serviceRevisionArns=[revision])["serviceRevisions"]
    return found["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"]


def refused(act: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        act(**parameters)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_two_revisions_run_through_the_bake_in_two_groups_and_a_stop_puts_the_traffic_back(
    world: World,
) -> None:
    start(world)
    assert weights(world) == {"two": 0, "one": 100}
    world.update(taskDefinition=world.release("1.1.0"))
    baking = at(world, "BAKE_TIME")

    assert (weights(world), weights(world, TEST_RULE)) == ({"one": 0, "two": 100}, {"one": 0, "two": 100})
    (blue,), green = baking["sourceServiceRevisions"], baking["targetServiceRevision"]
    assert (blue["requestedProductionTrafficWeight"], green["requestedProductionTrafficWeight"]) == (0, 100)
    assert (blue["runningTaskCount"], green["runningTaskCount"]) == (2, 2)
    assert (group_of(world, blue["arn"]), group_of(world, green["arn"])) == (ONE, TWO)
    service = world.service()
    shown = [(item["status"], item["rolloutState"]) for item in service["deployments"]]
    assert shown == [("PRIMARY", "IN_PROGRESS"), ("ACTIVE", "COMPLETED")]
    assert {item["arn"] for item in service["currentServiceRevisions"]} == {blue["arn"], green["arn"]}

    world.ecs.stop_service_deployment(serviceDeploymentArn=baking["serviceDeploymentArn"])
    assert world.deployment()["status"] in {"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}
    world.until(lambda: weights(world) == {"one": 100, "two": 0})
    back = ended(world, "ROLLBACK_SUCCESSFUL")
    assert back["statusReason"] == back["rollback"]["reason"] == "Service deployment rolled back by user"
    assert back["rollback"]["serviceRevisionArn"] == blue["arn"]
    assert {task.spec.image for task in world.runner.tasks} == {"ai-processor:1.0.0"}
    assert len(world.service()["deployments"]) == 1
    code, _ = refused(world.ecs.stop_service_deployment, serviceDeploymentArn=baking["serviceDeploymentArn"])
    assert code == "ConflictException"


def test_a_service_is_not_deleted_while_a_release_is_under_way_unless_by_force(world: World) -> None:
    start(world)
    world.update(taskDefinition=world.release("1.1.0"))
    at(world, "BAKE_TIME")
    world.update(desiredCount=0)
    code, message = refused(world.ecs.delete_service, cluster=CLUSTER, service=SERVICE)
    assert (code, message) == (
        "InvalidParameterException",
        "The service cannot be stopped while deployments are active.",
    )
    world.ecs.delete_service(cluster=CLUSTER, service=SERVICE, force=True)
    world.until(lambda: world.service()["status"] == "INACTIVE")


def test_tasks_are_scaled_of_both_revisions_during_a_deployment_and_of_the_one_that_stays_after_it(
    world: World,
) -> None:
    """What the product reads of them, by the same functions as a scale-out and its hold."""
    start(world)
    paused = BLUE_GREEN | {"bakeTimeInMinutes": 0, "lifecycleHooks": [PAUSE]}
    world.update(taskDefinition=world.release("1.1.0"), deploymentConfiguration=paused)
    at(world, "POST_TEST_TRAFFIC_SHIFT")
    world.until(lambda: world.deployment().get("lifecycleHookDetails"))
    for count in (4, 2):
        world.update(desiredCount=count)
        world.until(
            lambda count=count: {item["runningCount"] for item in world.service()["deployments"]} == {count}
        )
        state = read_service_state(world.service())
        own = read_service_deployment(world.deployment(), Release(task_definition=""))
        assert (state.desired, state.running, count_serving(state, own)) == (count, 2 * count, count)
        assert (
            state.counts
            == f"{count} of {count} new tasks (web:2) and {count} of {count} old tasks (web:1) run"
        )
    (hook,) = world.deployment()["lifecycleHookDetails"]
    world.ecs.continue_service_deployment(
        serviceDeploymentArn=world.deployment()["serviceDeploymentArn"], hookId=hook["hookId"]
    )
    ended(world, "SUCCESSFUL")
    state = read_service_state(world.service())
    assert (state.two_revisions, state.counts) == (False, "2 of 2 tasks run")


def test_the_groups_alternate_from_release_to_release(world: World) -> None:
    start(world, bakeTimeInMinutes=0)
    for version, group in (("1.1.0", "two"), ("1.2.0", "one")):
        world.update(taskDefinition=world.release(version))
        ended(world, "SUCCESSFUL")
        assert weights(world)[group] == 100
        assert {task.spec.image for task in world.runner.tasks} == {f"ai-processor:{version}"}
    assert world.runner.routes[CLUSTER, SERVICE] == ({ONE: 100.0, TWO: 0.0}, {ONE: 100.0, TWO: 0.0})


def test_a_task_that_dies_is_replaced_by_its_own_revision(world: World) -> None:
    start(world)
    world.update(taskDefinition=world.release("1.1.0"))
    at(world, "BAKE_TIME")
    for image in ("ai-processor:1.0.0", "ai-processor:1.1.0"):
        task = next(task for task in world.runner.tasks if task.spec.image == image)
        task.exit_code = 1
        world.until(
            lambda image=image, task=task: (
                sum(
                    other.spec.image == image and other is not task and other.healthy is True
                    for other in world.runner.tasks
                )
                == 2
            )
        )


def test_a_pause_waits_for_continue_service_deployment(world: World) -> None:
    start(world, bakeTimeInMinutes=0)
    world.update(deploymentConfiguration={"lifecycleHooks": [PAUSE]})
    world.update(taskDefinition=world.release("1.1.0"))
    paused = world.until(lambda: found if (found := world.deployment()).get("lifecycleHookDetails") else None)
    (hook,) = paused["lifecycleHookDetails"]
    assert (hook["status"], hook["timeoutAction"], hook["hookId"][:10]) == (
        "AWAITING_ACTION",
        "ROLLBACK",
        "ecs-pause-",
    )
    arn, go_on = paused["serviceDeploymentArn"], world.ecs.continue_service_deployment
    invalid = "InvalidParameterException"
    unknown = (
        "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN"
    )
    form = "Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}"
    other = {"serviceDeploymentArn": arn + "x", "hookId": hook["hookId"]}
    assert refused(go_on, serviceDeploymentArn=arn, hookId="ecs-pause-other") == (invalid, unknown)
    assert refused(go_on, serviceDeploymentArn=arn, hookId="pause") == (invalid, form)
    assert refused(go_on, **other)[0] == "ServiceDeploymentNotFoundException"
    go_on(serviceDeploymentArn=arn, hookId=hook["hookId"])
    done = ended(world, "SUCCESSFUL")
    assert [item["status"] for item in done["lifecycleHookDetails"]] == ["SUCCEEDED"]
    terminal = "Continuing a service deployment is not allowed for service deployment in terminal states."
    assert refused(go_on, serviceDeploymentArn=arn, hookId=hook["hookId"]) == (invalid, terminal)


def test_switches_say_what_functions_answer_and_which_alarms_fire(world: World) -> None:
    start(
        world,
        lifecycleHooks=[FUNCTION],
        alarms={"alarmNames": ["errors"], "enable": True, "rollback": True},
    )
    hooks, alarms = f"{world.url}/_sandbox/hooks", f"{world.url}/_sandbox/alarms"
    assert httpx.post(hooks, json={"stage": "POST_SCALE_UP", "answer": "FAILED"}).status_code == 200
    world.update(taskDefinition=world.release("1.1.0"))
    failed = ended(world, "ROLLBACK_SUCCESSFUL")
    assert failed["statusReason"].startswith(
        "Service deployment rolled back because POST_SCALE_UP lifecycle hook(s) failed."
    )
    assert httpx.get(hooks).json()["asked"][-1]["answer"] == "FAILED"

    httpx.post(hooks, json={"stage": "POST_SCALE_UP", "answer": "SUCCEEDED"})
    world.update(taskDefinition=world.release("1.2.0"))
    assert at(world, "BAKE_TIME")["alarms"]["status"] == "MONITORING"
    assert httpx.post(alarms, json={"name": "errors", "state": "ALARM"}).status_code == 200
    fired = ended(world, "ROLLBACK_SUCCESSFUL")
    assert (fired["alarms"]["status"], fired["alarms"]["triggeredAlarmNames"]) == ("TRIGGERED", ["errors"])

    bad = [(hooks, {"stage": "LATER", "answer": "FAILED"}), (hooks, {"stage": "POST_SCALE_UP"})]
    bad += [(alarms, {"name": "errors", "state": "RED"}), (alarms, {"state": "OK"})]
    assert [httpx.post(url, json=body).status_code for url, body in bad] == [400] * 4


def test_a_newer_release_stops_the_one_under_way_and_begins_by_putting_things_in_order(world: World) -> None:
    start(world)
    world.update(taskDefinition=world.release("1.1.0"))
    first = at(world, "BAKE_TIME")["serviceDeploymentArn"]
    world.update(taskDefinition=world.release("1.2.0"))
    stopped = world.until(
        lambda: found if (found := world.deployment(first))["status"] == "STOPPED" else None
    )
    assert "newer service deployment" in stopped["statusReason"]
    at(world, "BAKE_TIME")
    running = {task.spec.image for task in world.runner.tasks}
    assert running == {"ai-processor:1.1.0", "ai-processor:1.2.0"}
    assert weights(world)["one"] == 100


def test_an_abort_leaves_both_revisions_and_the_weights(world: World) -> None:
    start(
        world,
        strategy="CANARY",
        canaryConfiguration={"canaryPercent": 12.5, "canaryBakeTimeInMinutes": 1440},
    )
    world.update(taskDefinition=world.release("1.1.0"))
    world.until(lambda: weights(world) == {"one": 875, "two": 125})
    arn = world.deployment()["serviceDeploymentArn"]
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ABORT")
    ended(world, "STOPPED")
    assert weights(world) == {"one": 875, "two": 125}
    assert primary(world.service())["rolloutState"] == "FAILED"
    assert len(world.runner.tasks) == 4


def test_a_release_that_never_serves_gets_no_traffic(world: World) -> None:
    start(world)
    world.update(taskDefinition=world.release("1.1.0", Script(healthy_after=None)))
    at(world, "SCALE_UP")
    world.until(lambda: primary(world.service())["failedTasks"] >= 3)
    assert world.deployment()["lifecycleStage"] == "SCALE_UP"
    assert weights(world) == {"one": 100, "two": 0}


def test_a_rolling_service_can_be_changed_to_blue_green_and_back(world: World) -> None:
    world.start_service(loadBalancers=[{key: PAIR[key] for key in PAIR if key != "advancedConfiguration"}])
    world.update(
        loadBalancers=[PAIR],
        deploymentConfiguration=BLUE_GREEN | {"bakeTimeInMinutes": 0},
        taskDefinition=world.release("1.1.0"),
    )
    ended(world, "SUCCESSFUL")
    assert weights(world) == {"one": 0, "two": 100}
    world.update(deploymentConfiguration={"strategy": "ROLLING"}, taskDefinition=world.release("1.2.0"))
    ended(world, "SUCCESSFUL")
    assert "lifecycleStage" not in world.deployment()
    assert weights(world) == {"one": 0, "two": 100}
    assert {task.spec.target_group for task in world.runner.tasks} == {TWO}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"loadBalancers": [{key: PAIR[key] for key in PAIR if key != "advancedConfiguration"}]},
            "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy",
        ),
        (
            {"loadBalancers": [PAIR, {"targetGroupArn": ONE, "containerName": "app", "containerPort": 8000}]},
            "Either all or none of the provided loadBalancers must have advancedConfiguration defined",
        ),
        (
            {"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}]},
            "Invalid lifecycle stage provided for Pause Hook",
        ),
        ({"lifecycleHooks": [{"lifecycleStages": ["POST_SCALE_UP"]}]}, "needs hookTargetArn and roleArn"),
        ({"bakeTimeInMinutes": 1441}, "bakeTimeInMinutes must be between 0 and 1440"),
    ],
)
def test_what_does_not_go_with_the_strategy_is_refused(world: World, settings: Any, message: str) -> None:
    world.ecs.create_cluster(clusterName=CLUSTER)
    balancers = settings.pop("loadBalancers", [PAIR])
    code, said = refused(
        world.ecs.create_service,
        cluster=CLUSTER,
        serviceName=SERVICE,
        taskDefinition=world.release("1.0.0"),
        loadBalancers=balancers,
        deploymentConfiguration=BLUE_GREEN | settings,
    )
    assert code == "InvalidParameterException"
    assert message in said
