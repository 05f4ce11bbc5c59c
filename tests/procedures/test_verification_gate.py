"""What is not verified is a person's choice: measure again, go back further, or take over."""

from __future__ import annotations

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome, Verdict
from tests.procedures.stage.messages import answer, rejected
from tests.procedures.stage.outside import release
from workflows.rollback import Rollback

OPTIONS = ("verify-again", "roll-back-further", "hand-over")


async def test_it_is_asked_with_the_reason_and_nothing_is_marked(runbook, outside):
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert gate.question == "Recovery is not verified: how to continue?"
    assert (gate.options, gate.plan) == (OPTIONS, None)
    assert gate.abort_means == "keeps what was changed"
    report = await runbook.until(run, lambda now: now.checkpoint)
    assert "bad samples over" in report.summary
    assert outside.marks == []


@pytest.mark.ending("recovered-verified-again")
async def test_verifying_again_can_find_it_well(runbook, outside):
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.quality = Quality.GOOD
    await answer(run, "bob", gate, option="verify-again")
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["deploy shop:1"])
    assert len(outside.observations) == 2


async def test_each_time_it_is_asked_the_answer_is_a_new_one(runbook, outside):
    outside.quality = Quality.BAD
    run = await runbook.start()
    first = await runbook.at_checkpoint(run)
    await answer(run, "bob", first, option="verify-again")
    second = await runbook.at_checkpoint(run, other_than=first.plan_hash)
    assert (await answer(run, "bob", first, option="verify-again")).already
    assert second.plan_hash in await rejected(run, "carol", first, option="verify-again")
    still = (await run.query(Rollback.status)).checkpoint
    assert (still.plan_hash, still.approvals) == (second.plan_hash, ())


@pytest.mark.ending("recovered-further-back")
async def test_of_two_bad_releases_in_a_row_the_one_before_both_is_put_back(runbook, outside):
    outside.deployed(release(3))
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert outside.changes == ["deploy shop:2"]
    outside.quality = Quality.GOOD
    await answer(run, "bob", gate, option="roll-back-further")
    report = await runbook.end(run)
    assert report.outcome is Outcome.RECOVERED
    assert outside.changes == ["deploy shop:2", "deploy shop:1"]
    assert ("shop:2", "bad") in outside.marks
    assert [(change.before, change.after) for change in report.changes] == [
        ("shop:3 (1.3.0)", "shop:2 (1.2.0)"),
        ("shop:2 (1.2.0)", "shop:1 (1.1.0)"),
    ]


async def test_going_back_further_asks_again_where_the_policy_asks(runbook, outside):
    outside.approvals = Approvals()
    outside.deployed(release(3))
    outside.quality = Quality.BAD
    run = await runbook.start()
    first = await runbook.at_checkpoint(run)
    await answer(run, "bob", first)
    choice = await runbook.at_checkpoint(run, other_than=first.plan_hash)
    await answer(run, "bob", choice, option="roll-back-further")
    again = await runbook.at_checkpoint(run, other_than=choice.plan_hash)
    assert again.plan.after.revision == "shop:1"
    assert again.abort_means == "keeps what was changed"
    assert outside.changes == ["deploy shop:2"]


@pytest.mark.ending("not-recovered-no-further")
async def test_where_there_is_nothing_further_back_what_was_put_back_is_handed_over(runbook, outside):
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await answer(run, "bob", gate, option="roll-back-further")
    report = await runbook.end(run)
    assert (report.outcome, report.verdict) == (Outcome.NOT_RECOVERED, Verdict.NOT_RECOVERED)
    assert "there is no release before shop:1" in report.summary
    assert len(report.changes) == 1


async def test_silence_about_going_further_hands_over_what_was_put_back(runbook, outside):
    outside.approvals = Approvals()
    outside.deployed(release(3))
    outside.quality = Quality.BAD
    run = await runbook.start()
    first = await runbook.at_checkpoint(run)
    await answer(run, "bob", first)
    choice = await runbook.at_checkpoint(run, other_than=first.plan_hash)
    await answer(run, "bob", choice, option="roll-back-further")
    report = await runbook.end(run)
    assert (report.outcome, report.verdict) == (Outcome.NOT_RECOVERED, Verdict.NOT_RECOVERED)
    assert "nothing was changed" not in report.summary
    assert outside.changes == ["deploy shop:2"]


@pytest.mark.parametrize(
    ("quality", "outcome"),
    [
        pytest.param(Quality.BAD, Outcome.NOT_RECOVERED, marks=pytest.mark.ending("not-recovered")),
        pytest.param(Quality.NO_DATA, Outcome.INCONCLUSIVE, marks=pytest.mark.ending("inconclusive")),
        (Quality.ERROR, Outcome.INCONCLUSIVE),
    ],
)
async def test_a_person_who_takes_over_gets_the_verdict_and_no_release_is_marked(
    runbook, outside, quality, outcome
):
    outside.quality = quality
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await answer(run, "bob", gate, option="hand-over")
    report = await runbook.end(run)
    assert (report.outcome, report.verdict) == (outcome, Verdict(outcome))
    assert "A person must check now" in report.summary
    assert outside.marks == []


@pytest.mark.ending("not-recovered-by-silence")
async def test_silence_hands_over_and_people_were_notified(runbook, outside):
    outside.quality = Quality.BAD
    report = await runbook.run()
    assert report.outcome is Outcome.NOT_RECOVERED
    assert [notice.urgent for notice in outside.notices].count(True) == 1
    assert outside.changes == ["deploy shop:1"]


@pytest.mark.parametrize(
    ("option", "why"), [(None, "say which option: "), ("approve", 'there is no option "approve"')]
)
async def test_an_answer_that_names_none_of_the_options_does_not_count(runbook, outside, option, why):
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert why in await rejected(run, "bob", gate, option=option)


async def test_what_was_deployed_over_it_is_not_asked_about(runbook, outside):
    outside.quality = Quality.BAD
    verifying = outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    outside.deployed(release(3))
    verifying.set()
    assert (await runbook.end(run)).outcome is Outcome.SUPERSEDED
