"""Rollback next to other deployments: those under way, ECS's own rollbacks, other people's, and ours that never arrive."""

from itertools import cycle

import pytest

from tests.integration.rollback.rollback_stage import seen, step
from tests.sandbox_under_test import until

ROLLING_BACK = {"ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}
CRASHES = {"FAULT_CRASH_AFTER_SECONDS": 0.01}


@pytest.mark.parametrize(
    ("version", "faults"), [("1.1.0", {"FAULT_UNHEALTHY": 1}), ("missing", {})], ids=["unhealthy", "no image"]
)
async def test_a_deployment_under_way_is_stopped_and_ecs_goes_back(stage, version, faults):
    shop = stage.open_shop("open", "1.0.0")
    bad = shop.deploy(version, **faults)
    report = await shop.roll_back()
    assert report.outcome == "recovered", report.summary
    assert shop.changes() == ["StopServiceDeployment"]
    assert shop.runs() == f"{shop.name}:1"
    assert shop.service_deployments()[0]["status"] == "ROLLBACK_SUCCESSFUL"
    assert shop.marks() == {f"{shop.name}:1": {"good"}, bad: {"bad"}}


async def test_a_deployment_under_way_is_not_stopped_when_ecs_would_go_back_to_a_bad_release(stage):
    shop = stage.a_shop()
    shop.mark(f"{shop.name}:2", "bad")
    shop.deploy("1.2.0", FAULT_UNHEALTHY=1)
    report = await shop.roll_back()
    assert report.outcome == "recovered", report.summary
    assert shop.changes() == ["UpdateService"]
    assert shop.runs() == f"{shop.name}:1"


async def test_a_release_that_crashes_is_never_our_success_when_ecs_takes_it_back(stage):
    shop = stage.open_shop("open", "1.0.0", breaker=True)
    crashing = shop.register("0.9.0", **CRASHES).rpartition("/")[2]
    handle = await shop.start(to=crashing)
    gate = await shop.approve(handle)
    assert "never completed a deployment of this service" in gate.question
    report = await handle.result()
    assert report.outcome == "not-recovered"
    assert "ECS rolled the deployment back by itself" in report.summary
    assert "circuit breaker" in report.summary
    assert "Essential container in task exited" in report.summary
    assert shop.changes() == ["UpdateService"]
    assert shop.runs() == f"{shop.name}:1"
    assert shop.marks() == {}


async def test_what_the_circuit_breaker_put_back_already_needs_no_rollback(stage):
    shop = stage.open_shop("open", "1.0.0", breaker=True)
    shop.deploy("1.1.0", **CRASHES)
    assert shop.until_ended() == "ROLLBACK_SUCCESSFUL"
    ended = await shop.cli.start("--wait", "--json")
    assert (ended.code, ended.json["outcome"]) == (0, "not-needed")
    assert "ECS rolled" in ended.json["summary"]
    assert shop.changes() == []


async def test_ecs_may_finish_its_own_rollback(stage):
    shop = stage.open_shop("open", "1.0.0", breaker=True)
    shop.deploy("1.1.0", **CRASHES)
    until(lambda: shop.service_deployments()[0]["status"] in ROLLING_BACK)
    handle, wanted = await shop.start(), cycle((2, 1))

    def is_let(report):
        shop.update(desiredCount=next(wanted))  # and so it does not end before this run has seen it
        return step("Let ECS finish its own rollback")(report)

    await seen(handle, is_let)
    report = await handle.result()
    assert report.outcome == "not-needed", report.summary
    assert shop.changes() == []


async def test_a_deployment_by_somebody_else_while_ours_rolls_is_left_alone(stage):
    shop = stage.a_shop()
    handle = await shop.start()
    await seen(handle, step("Wait until only"))
    theirs = shop.deploy("1.2.0")
    report = await handle.result()
    assert report.outcome == "superseded", report.summary
    assert theirs in report.summary
    assert shop.changes() == ["UpdateService"]
    assert shop.until_ended() == "SUCCESSFUL"
    assert shop.runs() == theirs
    assert shop.marks() == {}


async def test_a_deployment_by_somebody_else_just_before_ours_stops_ours(stage):
    shop = stage.a_shop()
    stage.world.fault("UpdateService", times=1000, error="ThrottlingException")
    handle = await shop.start()
    until(lambda: [call for call in shop.calls() if call["action"] == "UpdateService"])
    theirs = shop.deploy("1.2.0")
    stage.world.clear_faults()
    report = await handle.result()
    assert report.outcome == "superseded", report.summary
    assert "somebody else changed the service" in report.error.message
    assert (shop.changes(), report.changes) == ([], ())
    assert shop.runs() == theirs


async def test_a_rollout_whose_image_cannot_be_pulled_is_handed_over_with_ecs_reasons(stage):
    shop = stage.open_shop("open", "1.0.0", steady="5s")
    broken = shop.register("missing").rpartition("/")[2]
    handle = await shop.start(to=broken)
    await shop.approve(handle)
    report = await handle.result()
    assert report.outcome == "not-recovered"
    assert "not steady in time: 0 of 1 tasks run" in report.summary
    assert "CannotPullContainerError" in report.summary
    assert shop.changes() == ["UpdateService"]
    assert shop.marks() == {}


async def test_a_rollout_without_capacity_is_handed_over_with_ecs_events(stage):
    shop = stage.open_shop("tight", "1.0.0", "1.1.0", steady="5s")
    cluster = shop.service()["clusterArn"]
    stage.ecs.tag_resource(resourceArn=cluster, tags=[{"key": "sandbox:max-tasks", "value": "1"}])
    report = await shop.roll_back()
    assert report.outcome == "not-recovered"
    assert "not steady in time" in report.summary
    assert "was unable to place a task" in report.summary
    assert shop.changes() == ["UpdateService"]


async def test_what_a_terminated_run_left_behind_is_found_by_the_next_which_asks(stage):
    shop = stage.a_shop()
    handle = await shop.start()
    await seen(handle, step("Wait until only"))
    await handle.terminate(reason="a click in the Temporal UI")
    shop.until_ended()
    shown = (await shop.cli("show", shop.short, "--json")).json
    assert (shown["outcome"], shown["error"]["kind"]) == ("failed", "terminated")
    assert [change["action"] for change in shown["changes"]] == ["UpdateService"]

    following = await shop.start()
    gate = await shop.asked(following)
    assert "was terminated after: UpdateService at" in gate.question
    await following.signal("abort", {"by": "bob", "reason": "I look at it"})
    assert (await following.result()).outcome == "aborted"
    assert shop.changes() == ["UpdateService"]
