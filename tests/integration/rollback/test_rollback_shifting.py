"""Rollback of the sandbox's service whose deployments shift traffic, on real processes: under way by a stop, finished by an update."""

import asyncio
from collections import Counter

import pytest

from activities.runtime.processes import kill_child
from tests.integration.cli.command_line import CommandLine
from tests.programs import Program
from tests.sandbox_under_test import running_sandbox, until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("shifting")]
CLUSTER, SERVICE = "ai-processor-staging", "ai-processor-service-bluegreen"
NAMED = {"cluster": CLUSTER, "service": SERVICE}
BAKE = {"bakeTimeInMinutes": 10}
STRATEGIES = {
    "BLUE_GREEN": {"strategy": "BLUE_GREEN"},
    "LINEAR": {
        "strategy": "LINEAR",
        "linearConfiguration": {"stepPercent": 50.0, "stepBakeTimeInMinutes": 1},
    },
    "CANARY": {
        "strategy": "CANARY",
        "canaryConfiguration": {"canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1},
    },
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with (
        running_sandbox("--strategies") as running,
        (tmp_path_factory.mktemp("worker") / "log").open("w+b") as log,
    ):
        worker = Program("worker", environment=running.environment, log=log)
        yield running
        kill_child(worker)


def changes(sandbox, since):
    actions = ("UpdateService", "StopServiceDeployment", "ContinueServiceDeployment")
    made = sandbox.calls(*actions, since=since)
    return [call["action"] for call in made]


def described(sandbox):
    (service,) = sandbox.aws("ecs").describe_services(cluster=CLUSTER, services=[SERVICE])["services"]
    return service


def deployment(sandbox):
    ecs, arn = sandbox.aws("ecs"), described(sandbox)["currentServiceDeployment"]
    return ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]


def versions(sandbox, times=20):
    url = sandbox.addresses.services["bluegreen"]["staging"]
    answers = [sandbox.http.get(f"{url}/health").json().get("version") for _ in range(times)]
    return Counter(answers)


ASKED = ("which of them is the bad one", "is a person's choice")


async def rolled_back(sandbox, *options):
    """Roll back as alice does; bob says yes where a person is asked."""
    cli = CommandLine(sandbox.addresses.temporal, "staging")
    names = ("--service", "bluegreen", "--environment", "staging")
    started = await cli("start", "rollback", *names, *options, "--json", **sandbox.addresses.env)
    assert started.code == 0, started.err
    watching = asyncio.create_task(cli("watch", started.json["id"], "--json", **sandbox.addresses.env))
    while not watching.done():
        shown = (await cli("show", started.json["id"], "--json", **sandbox.addresses.env)).json
        plan = (shown["checkpoint"] or {}).get("plan") or {}
        if any(why in (plan.get("needs_yes") or "") for why in ASKED):
            await cli("approve", started.json["id"], "--yes", user="bob", **sandbox.addresses.env)
        await asyncio.wait([watching], timeout=1)
    return (await cli("show", started.json["id"], "--json", **sandbox.addresses.env)).json


@pytest.mark.parametrize(("strategy", "number"), [(name, at) for at, name in enumerate(STRATEGIES, start=1)])
async def test_a_bad_release_is_stopped_under_way_and_updated_once_it_has_finished(sandbox, strategy, number):
    configuration = {**STRATEGIES[strategy], **BAKE}
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=configuration)
    sandbox.load("staging/bluegreen", 25)
    good = next(iter(versions(sandbox)))

    sandbox.deploy("staging", f"2.{number}.0", service="bluegreen", FAULT_ERROR_RATE=0.5)
    until(lambda: deployment(sandbox).get("lifecycleStage") == "BAKE_TIME")
    since = len(sandbox.calls())
    report = await rolled_back(sandbox)
    assert report["outcome"] == "recovered", report["summary"]
    assert (changes(sandbox, since), deployment(sandbox)["status"]) == (
        ["StopServiceDeployment"],
        "ROLLBACK_SUCCESSFUL",
    )
    assert set(versions(sandbox)) == {good}

    sandbox.aws("ecs").update_service(
        **NAMED, deploymentConfiguration={**configuration, "bakeTimeInMinutes": 1}
    )
    sandbox.deploy("staging", f"3.{number}.0", service="bluegreen", FAULT_ERROR_RATE=0.5)
    until(lambda: deployment(sandbox)["status"] == "SUCCESSFUL")
    since = len(sandbox.calls())
    report = await rolled_back(sandbox)
    assert report["outcome"] == "recovered", report["summary"]
    assert (changes(sandbox, since), deployment(sandbox)["status"]) == (["UpdateService"], "SUCCESSFUL")
    assert set(versions(sandbox)) == {good}


async def test_a_fast_update_continues_its_pauses_and_leaves_the_configuration_as_it_was(sandbox):
    configuration = {**STRATEGIES["CANARY"], "bakeTimeInMinutes": 0, "lifecycleHooks": []}
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=configuration)
    sandbox.load("staging/bluegreen", 25)
    good = next(iter(versions(sandbox)))
    sandbox.deploy("staging", "4.1.0", service="bluegreen", FAULT_ERROR_RATE=0.5)
    until(lambda: deployment(sandbox)["status"] == "SUCCESSFUL")
    pause = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}
    waits = {**configuration, "bakeTimeInMinutes": 60, "lifecycleHooks": [pause]}
    before, ran = described(sandbox)["deployments"], deployment(sandbox)["serviceDeploymentArn"]
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=waits)
    assert [item["id"] for item in described(sandbox)["deployments"]] == [item["id"] for item in before]
    assert deployment(sandbox)["serviceDeploymentArn"] == ran  # the configuration alone deploys nothing
    configured = described(sandbox)["deploymentConfiguration"]

    since = len(sandbox.calls())
    report = await rolled_back(sandbox, "--shift", "fast", "--continue-own-hooks")
    assert report["outcome"] == "recovered", report["summary"]
    assert changes(sandbox, since) == [
        "UpdateService", "ContinueServiceDeployment", "ContinueServiceDeployment", "UpdateService",
    ]  # fmt: skip
    assert described(sandbox)["deploymentConfiguration"] == configured
    assert deployment(sandbox)["status"] == "SUCCESSFUL"
    assert set(versions(sandbox)) == {good}
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=configuration)


CANARY = {
    "strategy": "CANARY",
    "canaryConfiguration": {"canaryPercent": 50.0, "canaryBakeTimeInMinutes": 600},
    "bakeTimeInMinutes": 1,
}


def a_canary(sandbox, version, **environment):
    """Deploy a release that gets half of the requests and no more."""
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=CANARY)
    sandbox.deploy("staging", version, service="bluegreen", **environment)
    until(lambda: deployment(sandbox)["targetServiceRevision"].get("requestedProductionTrafficWeight") == 50)


async def compared(sandbox):
    """The plan of a rollback, once the load balancer's figures of both releases are known."""
    cli = CommandLine(sandbox.addresses.temporal, "staging")
    names = ("--service", "bluegreen", "--environment", "staging")
    while True:
        planned = await cli("start", "rollback", *names, "--plan", "--json", **sandbox.addresses.env)
        assert planned.code == 0, planned.err
        plan = planned.json["plan"]
        if {plan["revisions"][which]["quality"] for which in ("coming", "old")} == {"known"}:
            return plan


async def test_the_target_groups_say_which_of_two_releases_is_the_bad_one(sandbox):
    sandbox.load("staging/bluegreen", 25)
    a_canary(sandbox, "4.0.0", FAULT_ERROR_RATE=0.5)
    plan = await compared(sandbox)
    coming, old = plan["revisions"]["coming"], plan["revisions"]["old"]
    assert (coming["share"] > 0.1, old["share"]) == (True, 0)
    assert plan["needs_yes"] is None

    since = len(sandbox.calls())
    cli = CommandLine(sandbox.addresses.temporal, "staging")
    names = ("--service", "bluegreen", "--environment", "staging")
    ended = await cli("start", "rollback", *names, "--wait", "--json", **sandbox.addresses.env)
    assert ended.json["outcome"] == "recovered", ended.json["summary"]
    assert changes(sandbox, since) == ["StopServiceDeployment"]


async def test_where_the_old_release_is_the_bad_one_nothing_is_stopped(sandbox):
    sandbox.load("staging/bluegreen", 25)
    at_once = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}
    sandbox.aws("ecs").update_service(**NAMED, deploymentConfiguration=at_once)
    sandbox.deploy("staging", "5.0.0", service="bluegreen", FAULT_ERROR_RATE=0.5)
    until(lambda: deployment(sandbox)["status"] == "SUCCESSFUL")
    a_canary(sandbox, "5.1.0")
    plan = await compared(sandbox)
    assert "which ran before, is the bad one, and a stop would send all traffic to it" in plan["needs_yes"]

    since = len(sandbox.calls())
    cli = CommandLine(sandbox.addresses.temporal, "staging")
    names = ("--service", "bluegreen", "--environment", "staging")
    run = (await cli("start", "rollback", *names, "--json", **sandbox.addresses.env)).json["id"]
    while True:
        shown = (await cli("show", run, "--json", **sandbox.addresses.env)).json
        if shown["checkpoint"] or shown["outcome"]:
            break
    assert "is the bad one" in shown["checkpoint"]["plan"]["needs_yes"], shown["summary"]
    assert changes(sandbox, since) == []
    await cli("abort", run, "--reason", "the old one is bad", "--yes", **sandbox.addresses.env)
