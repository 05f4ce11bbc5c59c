"""Other people's tools work on the simulated ECS unchanged: the AWS CLI and ecs-deploy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ecs_world import CLUSTER, SERVICE, Script
from test_ecs_strategies import BLUE_GREEN, PAIR, PAUSE

pytestmark = pytest.mark.rare

if TYPE_CHECKING:
    from ecs_world import World

TOOLS = Path(sys.executable).parent
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def run(world: World, *argv: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of the virtual environment as its user would, against the simulated endpoint."""
    environment = {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "AWS_ENDPOINT_URL": world.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)


def aws(world: World, home: Path, *argv: str) -> Any:
    done = run(world, "aws", "ecs", *argv, "--output", "json", home=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def test_the_aws_cli_updates_a_service_and_waits_until_it_is_stable(world: World, tmp_path: Path) -> None:
    world.start_service()
    second = world.release("1.1.0")
    updated = aws(
        world,
        tmp_path,
        "update-service",
        "--cluster",
        CLUSTER,
        "--service",
        SERVICE,
        "--task-definition",
        second,
    )
    assert updated["service"]["taskDefinition"] == second
    world.until(lambda: len(world.service()["deployments"]) == 1)  # the CLI itself looks every 15 s only
    aws(world, tmp_path, "wait", "services-stable", "--cluster", CLUSTER, "--services", SERVICE)
    wording = aws(world, tmp_path, "describe-services", "--cluster", CLUSTER, "--services", SERVICE)
    assert wording["services"][0]["deployments"][0]["rolloutState"] == "COMPLETED"


def test_the_aws_cli_shows_and_stops_service_deployments(world: World, tmp_path: Path) -> None:
    world.start_service()
    world.update(taskDefinition=world.release("1.1.0", Script(healthy_after=None)))
    listed = aws(world, tmp_path, "list-service-deployments", "--cluster", CLUSTER, "--service", SERVICE)
    arn = listed["serviceDeployments"][0]["serviceDeploymentArn"]
    aws(world, tmp_path, "stop-service-deployment", "--service-deployment-arn", arn)
    world.until(lambda: world.deployment(arn)["status"] == "ROLLBACK_SUCCESSFUL")


def test_the_aws_cli_releases_continues_and_stops_where_deployments_shift_traffic(
    world: World, tmp_path: Path
) -> None:
    named = ("--cluster", CLUSTER, "--service", SERVICE)

    def service(verb: str, *argv: str) -> Any:
        return aws(world, tmp_path, verb, *named, *argv)["service"]

    def deployment(arn: str) -> Any:
        shown = aws(world, tmp_path, "describe-service-deployments", "--service-deployment-arns", arn)
        return shown["serviceDeployments"][0]

    def stage(wanted: str) -> None:
        world.until(lambda: world.deployment().get("lifecycleStage") == wanted)

    world.ecs.create_cluster(clusterName=CLUSTER)
    first = {"cluster": CLUSTER, "serviceName": SERVICE, "taskDefinition": world.release("1.0.0")}
    first |= {"desiredCount": 1, "loadBalancers": [PAIR], "deploymentConfiguration": BLUE_GREEN}
    made = aws(world, tmp_path, "create-service", "--cli-input-json", json.dumps(first))["service"]
    assert made["deploymentConfiguration"]["strategy"] == "BLUE_GREEN"
    world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")

    hooks = json.dumps({"lifecycleHooks": [PAUSE]})
    arn = service(
        "update-service",
        "--task-definition", world.release("1.1.0"), "--deployment-configuration", hooks,
    )["currentServiceDeployment"]  # fmt: skip
    world.until(lambda: world.deployment(arn).get("lifecycleHookDetails"))
    paused = deployment(arn)
    (hook,) = paused["lifecycleHookDetails"]
    assert (paused["lifecycleStage"], hook["status"]) == ("POST_TEST_TRAFFIC_SHIFT", "AWAITING_ACTION")
    asked = ("--service-deployment-arn", arn, "--hook-id", hook["hookId"])
    aws(world, tmp_path, "continue-service-deployment", *asked)
    stage("BAKE_TIME")
    described = aws(world, tmp_path, "describe-services", "--cluster", CLUSTER, "--services", SERVICE)
    (shown,) = described["services"]
    assert (shown["deploymentConfiguration"]["strategy"], shown["runningCount"]) == ("BLUE_GREEN", 2)
    assert len(shown["currentServiceRevisions"]) == 2

    stopped = aws(world, tmp_path, "stop-service-deployment", "--service-deployment-arn", arn)
    assert stopped["serviceDeploymentArn"] == arn
    world.until(lambda: world.deployment(arn)["status"] == "ROLLBACK_SUCCESSFUL")
    ended = deployment(arn)
    assert ended["rollback"]["serviceRevisionArn"] == ended["sourceServiceRevisions"][0]["arn"]


def test_the_aws_cli_prints_the_refusals_of_aws(world: World, tmp_path: Path) -> None:
    done = run(world, "aws", "ecs", "update-service", "--cluster", "no", "--service", "web", home=tmp_path)
    assert done.returncode != 0
    assert (
        "(ClusterNotFoundException) when calling the UpdateService operation: Cluster not found."
        in done.stderr
    )


def test_ecs_deploy_deploys_a_new_image(world: World, tmp_path: Path) -> None:
    world.start_service()
    done = run(
        world, "ecs", "deploy", CLUSTER, SERVICE, "--image", "app", "ai-processor:2.0.0", home=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deployment successful" in done.stdout
    assert {task.spec.image for task in world.runner.tasks} == {"ai-processor:2.0.0"}


@pytest.mark.parametrize("breaker", [True, False])
def test_ecs_deploy_rolls_a_bad_image_back(world: World, tmp_path: Path, *, breaker: bool) -> None:
    world.runner.scripts["ai-processor:2.0.0"] = Script(healthy_after=None, exits_after=0.1)
    settings = {"deploymentConfiguration": BREAKER} if breaker else {}
    good = world.start_service(**settings)
    deploy = ["ecs", "deploy", CLUSTER, SERVICE, "--image", "app", "ai-processor:2.0.0"]
    done = run(world, *deploy, "--timeout", "6", "--rollback", home=tmp_path)
    said = done.stdout + done.stderr
    if breaker:  # the service is stable on the old release, which this tool takes for its own success
        assert done.returncode == 0, said
    else:
        assert done.returncode == 1, said
        assert "Rollback successful" in said
    world.until(lambda: world.service()["taskDefinition"] == good)
    world.until(lambda: {task.spec.image for task in world.runner.tasks} == {"ai-processor:1.0.0"})
