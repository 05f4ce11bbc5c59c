"""Rollback where a person must agree: one exact plan, answers that are durable, and one run at a time."""

import asyncio

from runbook_model.reports import Report, State
from tests.integration.rollback.rollback_stage import Shop, seen, step


async def test_a_bad_release_in_prod_is_put_back_once_somebody_else_agrees(stage):
    service = stage.the_processor("prod")
    good = service.runs()
    bad = service.deploy("1.5.0", FAULT_ERROR_RATE=0.3)
    assert service.until_ended() == "SUCCESSFUL"

    handle = await service.start(by="alice")
    await service.asked(handle)
    assert service.changes() == []
    by_alice = await service.cli("approve", service.short, user="alice")
    assert by_alice.code == 5
    assert "alice asked for this and may not approve it" in by_alice.err
    by_bob = await service.cli("approve", service.short, "--comment", "go", user="bob")
    assert (by_bob.code, by_bob.out.strip()) == (0, "approved, 1 of 1")

    watched = await service.cli("watch", service.short, "--json")
    assert (watched.code, watched.json["outcome"]) == (0, "recovered")
    assert service.runs() == good
    assert service.changes() == ["UpdateService"]
    assert service.marks() == {good: {"good"}, bad: {"bad"}}
    assert [(decision["kind"], decision["by"]) for decision in watched.json["decisions"]] == [
        ("approve", "bob")
    ]


async def test_a_deployment_before_the_approval_makes_the_plan_void_and_the_gate_opens_again(stage):
    shop = stage.a_shop("gated")
    handle = await shop.start()
    first = await shop.asked(handle)
    theirs = shop.deploy("1.2.0")
    shop.until_ended()
    await seen(handle, lambda report: report.checkpoint and _starts_from(report.checkpoint, theirs))

    late = await shop.cli("approve", shop.short, "--plan-hash", first.plan_hash, user="bob")
    assert late.code == 5
    assert "the plan is not the one that was approved" in late.err
    assert shop.changes() == []

    report = await approve_what_comes(shop, handle)
    assert report.outcome == "recovered"
    assert (report.plan.before.revision, report.plan.after.revision) == (theirs, f"{shop.name}:2")
    assert "void" in {decision.kind for decision in report.decisions}
    assert shop.changes() == ["UpdateService"]
    assert shop.runs() == f"{shop.name}:2"


async def approve_what_comes(shop: Shop, handle) -> Report:
    """Approve every plan that is shown until the run ends: one that was made in mid-deployment is soon another."""
    ending = asyncio.ensure_future(handle.result())
    while not ending.done():
        report = await handle.query("status", result_type=Report)
        if report.state is State.AWAITING_APPROVAL and not report.checkpoint.approvals:
            await shop.approve(handle)
        await asyncio.sleep(0.1)
    return await ending


def _starts_from(gate, revision):
    plan = gate.plan
    return plan and plan.before.revision == revision and plan.calls[0].action == "UpdateService"


async def test_autoscaling_is_no_drift_and_its_count_is_kept(stage):
    shop = stage.a_shop("gated")
    handle = await shop.start()
    gate = await shop.asked(handle)
    shop.update(desiredCount=2)
    approved = await shop.approve(handle)
    assert approved.plan_hash == gate.plan_hash
    await seen(handle, step("Wait until only"))
    shop.update(desiredCount=3)
    report = await handle.result()
    assert report.outcome == "recovered"
    assert len([decision for decision in report.decisions if decision.kind == "approve"]) == 1
    (update,) = (call for call in shop.calls() if call["action"] == "UpdateService")
    assert set(update["parameters"]) == {"cluster", "service", "taskDefinition"}
    assert (shop.service()["desiredCount"], shop.service()["runningCount"]) == (3, 3)


async def test_of_two_starts_at_once_one_runs_and_the_other_is_refused(stage):
    shop = stage.a_shop("gated")
    both = await asyncio.gather(shop.cli.start(user="alice"), shop.cli.start(user="dave"))
    assert sorted(item.code for item in both) == [0, 5]
    loser = next(item for item in both if item.code == 5)
    assert f"{shop.id} runs already" in loser.err
    assert len(loser.err.splitlines()) == 1


async def test_replace_aborts_what_runs_and_starts_again(stage):
    shop = stage.a_shop("gated")
    first = await shop.start(by="alice")
    await shop.asked(first)
    started = await shop.cli.start("--replace", "--json", "--reason", "a better idea", user="dave")
    assert started.code == 0, started.err
    report = await first.result()
    assert report.outcome == "aborted"
    assert "Aborted by dave (replaced: a better idea)" in report.summary
    second = stage.client.get_workflow_handle(shop.id, run_id=started.json["run_id"])
    assert (await shop.asked(second)).plan_hash
    assert shop.changes() == []


async def test_without_a_worker_answers_are_recorded_and_count_when_one_is_back(stage):
    wanted, unwanted = stage.a_shop("gated"), stage.a_shop("gated")
    handles = [await shop.start() for shop in (wanted, unwanted)]
    for shop, handle in zip((wanted, unwanted), handles, strict=True):
        await shop.asked(handle)
    stage.kill_worker()
    try:
        shown = (await wanted.cli("show", wanted.short, "--json")).json
        assert (shown["live"], shown["state"]) == (False, "awaiting-approval")
        assert shown["checkpoint"]["plan"]["after"]["task_definition"].endswith(f"/{wanted.name}:1")
        approved, aborted = await asyncio.gather(
            wanted.cli("approve", wanted.short, "--json", user="bob"),
            unwanted.cli("abort", unwanted.short, "--reason", "no", "--json", user="bob"),
        )
    finally:
        stage.start_worker()
    for answer in (approved, aborted):
        assert answer.code == 0
        assert answer.json.items() >= {"recorded": True, "confirmed": False}.items()
    reports = [await handle.result() for handle in handles]
    assert [report.outcome for report in reports] == ["recovered", "aborted"]
    assert (wanted.changes(), unwanted.changes()) == (["UpdateService"], [])
