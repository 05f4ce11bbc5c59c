"""That steady state is noticed as soon as it can be, by a worker on which one service waits."""

from datetime import datetime


async def test_steady_state_is_noticed_by_the_first_looks_after_it(stage):
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
    assert completed <= waited.ended
    looks = [
        call
        for call in shop.calls()
        if call["action"] == "DescribeServices"
        and completed < datetime.fromisoformat(call["time"]) < waited.ended
    ]
    assert 2 <= len(looks) <= 3, "two readings in a row must say so"
