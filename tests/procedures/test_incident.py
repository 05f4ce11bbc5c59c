"""An incident from its first alert to its end: what joins it, what it begins, what ends it."""

from __future__ import annotations

import pytest

from workflows.messages import Outcome


@pytest.mark.ending("recovered")
async def test_an_alert_opens_an_incident_that_runs_its_procedure_and_ends_when_both_are_well(stage, world):
    await stage.fires("HighErrorRate")
    seen = await stage.running("high-error-rate")
    assert (seen.severity, seen.status, seen.firing) == ("warning", "investigating", 1)
    assert (seen.procedures[0].why, world.said("started")[0].title[:15]) == (
        "alert HighErrorRate",
        "High Error Rate",
    )
    await stage.cue("find", text="bad-release: errors since 2")
    await stage.until(lambda now: now.status == "identified")
    await stage.cue("change")
    await stage.until(lambda now: now.status == "mitigating")
    await stage.ends("recovered", summary="Put back.")
    await stage.until(lambda now: now.procedures[0].outcome == "recovered")
    await stage.resolves("HighErrorRate")
    report = await stage.over()
    assert (report.outcome, report.summary) == (Outcome.RECOVERED, "Put back.")
    resolved = world.said("resolved")[0]
    assert resolved.resolution == ("UpdateService: 2 → 1", "Put back.")
    assert resolved.root_cause == "bad-release: errors since 2 (to be confirmed)"
    assert [one.number for _, one in world.told] == list(range(1, len(world.told) + 1))


async def test_alerts_of_one_target_join_and_repeats_change_nothing(stage):
    first = await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    second = await stage.fires("HighErrorRate", "HighLatencyP95")
    seen = await stage.until(lambda now: now.firing == 2)
    assert first.id == second.id
    assert len(seen.procedures) == 1
