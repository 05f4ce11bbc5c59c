"""Releases of the demo service, good and bad, and what the world then shows."""

import itertools

import pytest

from tests.sandbox_under_test import until

_minor = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def requests(world):
    """What is measured of a release are the requests that it answers."""
    with world.under_load("staging", "prod"):
        yield


@pytest.fixture
def staging(world):
    """The environment to break; afterwards a good release runs there again."""
    yield "staging"
    assert world.deploy("staging", f"2.{next(_minor)}.0", wait=True).status == "SUCCESSFUL"


def release_of(delivered):
    return delivered.task_definition.rpartition("/")[2]


def test_a_good_release_is_rolled_out_without_a_failed_request(world):
    url = world.addresses.service["prod"]
    delivered = world.deploy("prod", f"1.{next(_minor)}.0")
    statuses = []

    def rolled_out():
        statuses.append(world.http.post(f"{url}/api/v1/process", json={}).status_code)
        deployments = world.service("prod")["deployments"]
        return len(deployments) == 1 and deployments[0]["rolloutState"] == "COMPLETED"

    until(rolled_out, every=0.01)
    assert world.service("prod")["taskDefinition"] == delivered.task_definition
    assert set(statuses) == {200}


def test_a_bad_release_makes_errors_that_prometheus_measures(world, staging):
    delivered = world.deploy(staging, "3.0.0", wait=True, FAULT_ERROR_RATE=0.3)
    assert delivered.status == "SUCCESSFUL"  # its health check is good; that is all that ECS asks
    release = f'release="{release_of(delivered)}"'
    rate = (
        f"sum(rate(http_errors_total{{{release}}}[10s])) / sum(rate(http_requests_total{{{release}}}[10s]))"
    )
    until(lambda: [value for _, value in world.query(rate) if 0.25 < value < 0.35])


@pytest.mark.rare
def test_a_slow_release_raises_the_95th_percentile(world, staging):
    delivered = world.deploy(staging, "3.1.0", wait=True, FAULT_LATENCY_SECONDS=1.5)
    bucket = f'http_request_duration_seconds_bucket{{release="{release_of(delivered)}"}}'
    until(
        lambda: [
            v for _, v in world.query(f"histogram_quantile(0.95, sum by (le) (rate({bucket}[10s])))") if v > 1
        ]
    )


@pytest.mark.rare
def test_a_release_that_leaks_is_killed_at_its_memory_limit(world, staging):
    world.deploy(staging, "3.2.0", memory=64, FAULT_LEAK_MB_PER_SECOND=30)
    ecs = world.aws("ecs")
    cluster = "ai-processor-staging"

    def exit_codes():
        stopped = ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]
        tasks = ecs.describe_tasks(cluster=cluster, tasks=stopped)["tasks"] if stopped else []
        return {container.get("exitCode") for task in tasks for container in task["containers"]}

    until(lambda: 137 in exit_codes())


def test_an_image_that_does_not_exist_never_takes_the_place_of_the_release_that_runs(world, staging):
    good = world.service(staging)["taskDefinition"]
    world.deploy(staging, "missing")
    ecs = world.aws("ecs")
    cluster = "ai-processor-staging"

    def reasons():
        stopped = ecs.list_tasks(cluster=cluster, desiredStatus="STOPPED")["taskArns"]
        tasks = ecs.describe_tasks(cluster=cluster, tasks=stopped)["tasks"] if stopped else []
        return [task.get("stoppedReason", "") for task in tasks]

    until(lambda: any("CannotPullContainerError" in reason for reason in reasons()))
    old = next(
        deployment
        for deployment in world.service(staging)["deployments"]
        if deployment["taskDefinition"] == good
    )
    assert old["runningCount"] == 2


def test_the_pipelines_calls_are_in_the_call_log(world):
    before = len(world.calls())
    world.deploy("prod", f"1.{next(_minor)}.0", wait=True)
    actions = [call["action"] for call in world.calls(since=before) if call["service"] == "ecs"]
    assert actions[:2] == ["RegisterTaskDefinition", "UpdateService"]
