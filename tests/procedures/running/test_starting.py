"""Runs that are started by hand with something else than a request: they end at once and free the lock."""

import pytest
from temporalio.client import WorkflowFailureError

from runbook_model.names import ids


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "started with 0 arguments"),
        ([{"service": "shop", "environment": "prod"}, "more"], "started with 2 arguments"),
        (["x"], "should be an object"),
        ([{"service": "shop"}], "environment"),
    ],
)
async def test_a_run_without_a_proper_request_fails_at_once(runbook, args, says):
    queue = ids.task_queue(runbook.environment)
    handle = await runbook.client.start_workflow(
        "Rollback", args=args, id=f"by-hand/{queue}", task_queue=queue
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert says in str(failed.value.cause)
