"""The rollback procedure where Terraform owns the service."""

from __future__ import annotations

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.errors import ApplyFailedError
from runbook_model.measured.readings import Quality
from runbook_model.releases.release import Image
from runbook_model.releases.rollout import Phase
from runbook_model.releases.terraform_plans import AttributeChange
from runbook_model.reports import Outcome
from tests.procedures.stage.messages import answer
from tests.procedures.stage.outside import release
from tests.procedures.stage.terraform_outside import TerraformOutside
from workflows.rollback import Rollback


@pytest.fixture
def outside() -> TerraformOutside:
    """Release 2 runs, as the module was last applied; release 1 ran before."""
    return TerraformOutside()


@pytest.mark.ending("recovered-terraform")
async def test_the_module_gets_the_tag_of_the_last_known_good_release(runbook, outside):
    report = await runbook.run(reason="errors")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["apply 1.1.0"])
    (call,) = report.plan.calls
    assert (call.service, call.action) == ("terraform", "apply")
    assert call.parameters["variables"] == {"image_tag": "1.1.0"}
    assert call.parameters["changes"]["aws_ecs_task_definition.shop"] == {
        "action": "replace",
        "container_definitions[0].image": '"shop:1.2.0" → "shop:1.1.0"',
    }
    assert [(change.action, change.certain) for change in report.changes] == [("terraform apply", True)]


async def test_the_source_is_marked_before_it_is_deregistered_and_what_runs_once_it_is_verified(
    runbook, outside
):
    await runbook.run()
    assert outside.marks == [("shop:2", "bad"), ("shop:12", "good")]
    assert outside.calls.index("mark_release") < outside.calls.index("apply_terraform")


async def test_a_source_that_stays_registered_is_marked_only_once_the_other_is_verified(runbook, outside):
    outside.skip_destroy = True
    await runbook.run()
    assert outside.marks == [("shop:12", "good"), ("shop:2", "bad")]


async def test_a_source_that_stays_is_not_marked_when_nothing_is_verified(runbook, outside):
    outside.skip_destroy, outside.phase = True, Phase.FAILED
    report = await runbook.run()
    assert (report.outcome, outside.marks) == (Outcome.NOT_RECOVERED, [])


async def test_a_plan_only_run_shows_what_terraform_would_do_and_applies_nothing(runbook, outside):
    report = await runbook.run(plan_only=True, id=f"plan/{runbook.environment}/shop/rollback/1")
    assert (report.outcome, outside.changes) == (Outcome.PLANNED, [])
    assert report.plan.essence
    assert any("deregisters shop:2" in line for line in report.plan.not_restored)
    assert any("ignore_tags" in line for line in report.plan.not_restored)


async def test_an_approval_is_bound_to_the_terraform_plan(runbook, outside):
    outside.approvals = Approvals(needed=1)
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    outside.serial += 1  # somebody changed the state: another plan
    await answer(run, "bob", gate)
    again = await runbook.at_checkpoint(run, other_than=gate.plan_hash)
    assert outside.changes == []
    await answer(run, "bob", again)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED
    assert outside.changes == ["apply 1.1.0"]


@pytest.mark.ending("recovered-terraform-stale")
async def test_a_stale_plan_opens_the_gate_again(runbook, outside):
    outside.approvals, outside.moves = Approvals(needed=1), ["1.2.1"]
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    await answer(run, "bob", gate)
    again = await runbook.at_checkpoint(run, other_than=gate.plan_hash)
    assert outside.changes == []
    assert (await run.query(Rollback.status)).changes == ()
    await answer(run, "bob", again)
    assert (await runbook.end(run)).outcome is Outcome.RECOVERED


@pytest.mark.ending("recovered-terraform-cut-off")
async def test_what_an_interrupted_apply_left_needs_a_yes_even_where_nobody_is_asked(runbook, outside):
    outside.cut_off = ["before"]
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert "cut off half-way" in gate.question
    assert outside.calls.count("apply_terraform") == 1
    await answer(run, "bob", gate)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["apply 1.1.0"])
    assert [change.certain for change in report.changes] == [False, True]


async def test_an_interrupted_apply_that_left_nothing_is_taken_as_done(runbook, outside):
    outside.cut_off = ["after"]
    report = await runbook.run()
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["apply 1.1.0"])
    assert outside.calls.count("apply_terraform") == 1


async def test_where_terraform_has_nothing_to_change_fresh_tasks_need_a_yes(runbook, outside):
    outside.deployed(release(3).model_copy(update={"images": (_image("1.2.0"),)}))
    run = await runbook.start(to="2")
    gate = await runbook.at_checkpoint(run)
    assert 'Terraform has nothing to change for image_tag="1.2.0"' in gate.question
    await answer(run, "bob", gate)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["force"])
    assert outside.marks == [("shop:3", "good")]


async def test_a_module_that_does_not_decide_what_runs_is_refused(runbook, outside):
    outside.applied = "1.1.0"
    report = await runbook.run()
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "policy")
    assert "the module does not decide what the service runs" in report.summary


@pytest.mark.ending("recovered-terraform-takes-more")
async def test_a_plan_that_takes_tasks_next_to_the_release_needs_a_yes_even_where_nobody_is_asked(
    runbook, outside
):
    outside.also_lowers = (AttributeChange(path="desired_count", before="4", after="1"),)
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert "Terraform would also reduce aws_ecs_service.shop desired_count (4 → 1)" in gate.question
    assert outside.changes == []
    await answer(run, "bob", gate)
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["apply 1.1.0"])


async def test_what_somebody_deploys_over_the_apply_is_left_alone(runbook, outside):
    outside.somebody_deploys = True
    report = await runbook.run()
    assert report.outcome is Outcome.SUPERSEDED
    assert "Terraform applied 1.1.0, but shop:20 (1.20.0) was deployed meanwhile" in report.summary
    assert outside.changes == ["apply 1.1.0"]


async def test_an_apply_that_deploys_nothing_is_not_taken_for_a_rollback(runbook, outside):
    outside.deploys = False
    report = await runbook.run()
    assert report.outcome is Outcome.NOT_RECOVERED
    assert "Terraform applied 1.1.0, but the service runs shop:2 (1.2.0) as before" in report.summary
    assert "force_deployment" not in outside.calls


async def test_a_deployment_is_forced_where_terraform_makes_none_of_the_same_tag(runbook, outside):
    outside.deployed(release(3).model_copy(update={"images": (_image("1.2.0"),)}))
    outside.applied, outside.deploys = "1.2.9", False
    report = await runbook.run(to="2")
    assert outside.changes == ["apply 1.2.0", "force"]
    assert report.outcome is Outcome.RECOVERED
    assert [change.action for change in report.changes] == ["terraform apply", "UpdateService"]


async def test_a_tag_that_was_moved_cannot_come_back_through_terraform(runbook, outside):
    outside.deployed(release(3, "1.1.0"))
    report = await runbook.run(to="1")
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "policy")
    assert "points to another image now" in report.summary
    assert outside.changes == []


async def test_a_tag_that_turns_out_to_have_moved_is_not_taken_for_the_release(runbook, outside):
    outside.tag_moved = True
    report = await runbook.run()
    assert report.outcome is Outcome.NOT_RECOVERED
    assert "its tag was moved" in report.summary


async def test_somebody_who_deploys_before_the_apply_is_left_alone(runbook, outside):
    held = outside.holds("measure")
    run = await runbook.start()
    await runbook.calls(outside, "measure")
    outside.deployed(release(3))
    held.set()
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.SUPERSEDED, [])


async def test_somebody_who_deploys_while_the_apply_is_held_is_left_alone(runbook, outside):
    applying = outside.holds("apply_terraform")
    run = await runbook.start()
    await runbook.calls(outside, "apply_terraform")
    outside.deployed(release(3))
    applying.set()
    report = await runbook.end(run)
    assert (report.outcome, report.error.kind) == (Outcome.SUPERSEDED, "DriftedError")
    assert (report.changes, outside.changes) == ((), [])


async def test_an_apply_that_fails_half_way_is_a_persons(runbook, outside):
    outside.fails["apply_terraform"] = [ApplyFailedError("Terraform stopped in the middle")]
    report = await runbook.run()
    assert report.outcome is Outcome.INCONCLUSIVE
    assert "Terraform stopped in the middle" in report.summary
    assert [change.certain for change in report.changes] == [False]


@pytest.mark.ending("aborted-terraform-undone")
async def test_an_abort_that_undoes_applies_the_way_back(runbook, outside):
    outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    await run.signal(Rollback.abort, {"by": "bob", "reason": "no", "keep": False, "confirmed": True})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["apply 1.1.0", "apply 1.2.0"])
    assert [change.undone for change in report.changes] == ["undone"]


@pytest.mark.ending("aborted-terraform-theirs-stays")
async def test_an_undo_leaves_a_release_alone_that_somebody_deployed_meanwhile(runbook, outside):
    outside.holds("observe")
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    outside.deployed(release(3))
    await run.signal(Rollback.abort, {"by": "bob", "reason": "no", "keep": False, "confirmed": True})
    report = await runbook.end(run)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["apply 1.1.0"])
    assert [change.undone for change in report.changes] == [
        "could not undo: shop:3 (1.3.0) was deployed meanwhile"
    ]


async def test_an_undo_that_would_change_more_than_was_done_is_left_to_a_person(runbook, outside):
    outside.holds("observe")
    outside.more_changes = ("aws_iam_role.other",)
    run = await runbook.start()
    await runbook.calls(outside, "observe")
    await run.signal(Rollback.abort, {"by": "bob", "reason": "no", "keep": False, "confirmed": True})
    report = await runbook.end(run)
    assert outside.changes == ["apply 1.1.0"]
    assert "Terraform would also change aws_iam_role.other; by hand: terraform -chdir=/infra/shop apply" in (
        report.changes[0].undone
    )


async def test_a_release_that_does_not_help_is_not_marked_good(runbook, outside):
    outside.quality = Quality.BAD
    run = await runbook.start()
    gate = await runbook.at_checkpoint(run)
    assert outside.marks == [("shop:2", "bad")]
    await answer(run, "bob", gate, option="hand-over")
    assert (await runbook.end(run)).outcome is Outcome.NOT_RECOVERED
    assert outside.marks == [("shop:2", "bad")]


def _image(version: str) -> Image:
    return Image(container="app", name=f"shop:{version}")
