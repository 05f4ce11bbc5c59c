"""Scale up for real: the simulated ECS, its tasks as processes, Prometheus, a worker."""

import asyncio

from runbook_model.messages import Approval, ProcedureRequest
from runbook_model.reports import Report, State
from starter.client.starting import begin
from tests.integration.rollback.rollback_stage import seen
from tests.patience import PATIENCE


async def test_tasks_get_more_by_one_new_revision_of_the_same_images(stage):
    shop = stage.a_shop()
    before, digest = shop.runs(), shop.digest(shop.runs())
    request = ProcedureRequest(service=shop.name, environment=shop.environment, requested_by="alice")
    run_id = await begin(stage.client, "resource-issues", request)
    handle = stage.client.get_workflow_handle(shop.id, run_id=run_id, result_type=Report)

    assert {"scale-out", "scale-up"} <= set((await shop.asked(handle)).options)
    await choose(handle, "scale-up")
    async with asyncio.timeout(PATIENCE):
        report = await handle.result()

    assert (report.outcome, report.verdict) == ("recovered", "recovered"), report.summary
    definition = stage.ecs.describe_task_definition(taskDefinition=shop.runs())["taskDefinition"]
    assert (definition["cpu"], definition["memory"]) == ("512", "1024")
    assert shop.images() == [f"ai-processor@{digest}"]
    assert shop.changes() == ["RegisterTaskDefinition", "UpdateService"]
    assert {"cpu", "memory"} <= {reading.kind for reading in report.readings}
    assert shop.runs() != before


async def choose(handle, option):
    page = await seen(handle, lambda page: page.state is State.AWAITING_APPROVAL and page.checkpoint)
    answer = Approval(by="bob", plan_hash=page.checkpoint.plan_hash, option=option)
    await handle.execute_update("decide", answer)
