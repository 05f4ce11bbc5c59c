"""How soon steady state is noticed, by a worker on which one service waits."""

from datetime import timedelta

import pytest

pytestmark = pytest.mark.xdist_group("rollback-prod")
LATEST = timedelta(seconds=2)


@pytest.mark.parametrize("time", ["first", "second", "third"])
async def test_steady_state_is_noticed_within_two_seconds(stage, time):
    shop = stage.a_shop()
    report = await shop.roll_back()
    assert report.outcome == "recovered", report.summary
    waited = next(step for step in report.steps if step.heading == "Wait for steady state")
    (primary,) = shop.service()["deployments"]
    assert primary["rolloutState"] == "COMPLETED"
    completed = next(
        event["createdAt"] for event in shop.service()["events"] if "deployment completed" in event["message"]
    )
    assert primary["updatedAt"] == completed
    assert timedelta(0) <= waited.ended - completed < LATEST
