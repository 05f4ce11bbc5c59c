"""Rollback while AWS answers badly: late, not at all, or with a refusal; what is changed is changed once."""

import pytest

from tests.integration.rollback.rollback_stage import seen


def updates(shop):
    """How each UpdateService of the product ended: None where AWS applied it."""
    return [call["error"] for call in shop.calls() if call["action"] == "UpdateService"]


async def test_throttled_and_broken_reads_are_repeated(stage):
    shop = stage.a_shop()
    stage.world.fault("ListServiceDeployments", times=2, error="ThrottlingException")
    stage.world.fault("DescribeServiceRevisions", error="ServerException")
    stage.world.fault("DescribeTaskDefinition", error="ServiceUnavailable")
    report = await shop.roll_back()
    assert report.outcome == "recovered", report.summary
    errors = [call["error"] for call in shop.calls() if call["action"] == "ListServiceDeployments"]
    assert errors[:2] == ["ThrottlingException"] * 2
    assert updates(shop) == [None]


async def test_a_throttled_update_is_applied_once(stage):
    shop = stage.a_shop()
    stage.world.fault("UpdateService", times=2, error="ThrottlingException")
    report = await shop.roll_back()
    assert report.outcome == "recovered", report.summary
    assert updates(shop) == ["ThrottlingException", "ThrottlingException", None]


async def test_throttling_while_it_is_waited_for_delays_and_no_more(stage):
    shop = stage.a_shop()
    handle = await shop.start()
    await seen(handle, lambda _: updates(shop))
    stage.world.fault("DescribeServices", times=2, error="ThrottlingException")
    report = await handle.result()
    assert report.outcome == "recovered", report.summary
    assert updates(shop) == [None]


@pytest.mark.parametrize("action", ["UpdateService", "ListServiceDeployments"])
async def test_a_missing_permission_is_named(stage, action):
    shop = stage.a_shop()
    stage.world.fault(action, error="AccessDeniedException")
    ended = await shop.cli.start("--wait", "--json")
    page = ended.json
    assert (ended.code, page["outcome"], page["error"]["kind"]) == (1, "failed", "AccessDeniedError")
    assert f"allow ecs:{action} for the worker's role" == page["error"]["fix"]
    assert (page["changes"], shop.changes()) == ([], [])


@pytest.fixture(scope="module")
async def unanswered(worked_world):
    """Runs whose change gets no good answer, at the same time: each of them waits for ten seconds or longer."""
    stage = worked_world
    shops = {name: stage.a_shop() for name in ("lost", "broken", "expired", "registered")}
    shops["stopped"] = stage.open_shop("open", "1.0.0")
    stage.ecs.deregister_task_definition(taskDefinition=f"{shops['registered'].name}:1")
    shops["stopped"].deploy("1.1.0", FAULT_UNHEALTHY=1)
    runs = {}
    for name, fault in (
        ("lost", {"lose_reply": True}),
        ("broken", {"error": "ServerException"}),
        ("expired", {"error": "ExpiredTokenException"}),
    ):
        stage.world.fault("UpdateService", **fault)
        runs[name] = await shops[name].start()
        await seen(runs[name], lambda _, shop=shops[name]: updates(shop))
    stage.world.fault("RegisterTaskDefinition", lose_reply=True)
    stage.world.fault("StopServiceDeployment", lose_reply=True)
    for name in ("registered", "stopped"):
        runs[name] = await shops[name].start()
    yield {name: (shops[name], await handle.result()) for name, handle in runs.items()}
    stage.close_shops()


async def test_an_update_whose_reply_was_lost_is_found_and_not_made_twice(unanswered):
    shop, report = unanswered["lost"]
    assert report.outcome == "recovered", report.summary
    assert updates(shop) == [None]
    assert shop.runs() == f"{shop.name}:1"


async def test_an_update_that_a_server_error_answered_is_made_once_it_is_known_not_to_have_been(unanswered):
    shop, report = unanswered["broken"]
    assert report.outcome == "recovered", report.summary
    assert updates(shop) == ["ServerException", None]


async def test_after_expired_credentials_it_continues_once_they_are_renewed(unanswered):
    shop, report = unanswered["expired"]
    assert report.outcome == "recovered", report.summary
    assert updates(shop) == ["ExpiredTokenException", None]


async def test_a_registration_whose_reply_was_lost_is_found_by_its_tag(unanswered):
    shop, report = unanswered["registered"]
    assert report.outcome == "recovered", report.summary
    assert shop.changes() == ["RegisterTaskDefinition", "UpdateService"]
    assert shop.runs() == f"{shop.name}:3"


async def test_a_stop_whose_reply_was_lost_is_found_under_way(unanswered):
    shop, report = unanswered["stopped"]
    assert report.outcome == "recovered", report.summary
    assert shop.changes() == ["StopServiceDeployment"]
    assert shop.runs() == f"{shop.name}:1"
