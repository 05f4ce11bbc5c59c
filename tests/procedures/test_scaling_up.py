"""Scale up: when tasks get more instead of more tasks, how, and how it is taken back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.measured.readings import Quality
from runbook_model.releases.history import ServiceDeployment
from runbook_model.releases.rollout import Phase
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.stage.outside import MOVED, MOVED_TAG, release
from tests.procedures.stage.sick import Sick
from tests.procedures.stage.sizes import SizedOutside
from tests.symptoms import latency_read, load_read, resources_read

KILLED = resources_read(memory=0.97, killed=3)
BUSY = resources_read(cpu=0.97)
SURGE = load_read(rate=300.0, usual=25.0, cpu=0.95, usual_cpu=0.2)
BIGGER = {"cpu": 512, "memory": 1024, "pool": 10}
SCALED_UP = [f"register {BIGGER}", "deploy shop:50"]
GATED = Approvals(needed=1)


@dataclass
class Small(SizedOutside, Sick):
    """A sick service whose tasks are small."""


@pytest.fixture
def outside() -> Small:
    """Tasks that are killed at their memory limit."""
    return Small(resources=KILLED)


@pytest.mark.ending("recovered-scaled-up")
async def test_tasks_that_die_of_their_memory_limit_get_more_instead_of_company(pages, outside):
    report = await pages.run("resource-issues")
    assert (report.outcome, outside.changes, outside.desired) == (Outcome.RECOVERED, SCALED_UP, 2)
    register, update = report.plan.calls
    assert (register.action, register.parameters["cpu"], register.parameters["memory"]) == (
        "RegisterTaskDefinition", "512", "1024",
    )  # fmt: skip
    assert update.parameters["taskDefinition"] == "shop:<as registered>"
    assert register.parameters["images"] == {"app": outside.current.images[0].digest}
    assert {"cpu", "memory"} <= set(outside.observations[-1].looks)


async def test_a_busy_service_with_as_many_tasks_as_it_may_have_gets_bigger_ones(pages, outside):
    outside.resources, outside.latency, outside.desired = BUSY, latency_read(2.0, 2.0, 2.0), 4
    report = await pages.run("high-latency")
    assert (report.outcome, outside.changes, outside.desired) == (Outcome.RECOVERED, SCALED_UP, 4)
    assert any("scaling out to 4 would change nothing" in finding for finding in report.findings)
    assert {"latency", "cpu", "memory"} <= set(outside.observations[-1].looks)


async def test_with_enough_tasks_that_are_not_busy_nothing_is_changed(pages, outside):
    outside.resources, outside.load, outside.desired = resources_read(), SURGE, 4
    outside.latency = latency_read(2.0, 2.0, 2.0)
    report = await pages.run("high-latency")
    assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])


@pytest.mark.ending("recovered-scaled-up-after-out")
async def test_where_more_tasks_did_not_help_bigger_ones_are_the_next_way(pages, outside):
    outside.resources, outside.latency, outside.quality = BUSY, latency_read(2.0, 2.0, 2.0), Quality.BAD
    run = await pages.start("high-latency")
    gate = (await pages.asked(run)).checkpoint
    assert gate.options == ("verify-again", "scale-up", "hand-over")
    outside.quality = Quality.GOOD
    report = await pages.answer(run, option="scale-up")
    assert (report.outcome, outside.changes, outside.desired) == (Outcome.RECOVERED, SCALED_UP, 4)
    assert [change.action for change in report.changes] == [
        "UpdateService", "RegisterTaskDefinition", "UpdateService",
    ]  # fmt: skip


@pytest.mark.parametrize("procedure", ["high-latency", "resource-issues"])
async def test_a_person_may_choose_bigger_tasks_where_the_evidence_does_not_settle_it(
    pages, outside, procedure
):
    outside.resources = resources_read()
    run = await pages.start(procedure)
    assert {"scale-out", "scale-up"} <= set((await pages.asked(run)).checkpoint.options)
    report = await pages.answer(run, option="scale-up")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, SCALED_UP)


async def test_a_run_that_only_plans_shows_what_tasks_would_get(pages, outside):
    report = await pages.run("resource-issues", plan_only=True)
    assert (report.outcome, outside.changes) == (Outcome.PLANNED, [])
    assert report.plan.headline == (
        "Scale shop in prod up: a task has 256 CPU units and 512 MB, and gets 512 CPU units and 1024 MB"
    )


async def test_tasks_that_have_as_much_already_are_never_made_smaller(pages, outside):
    outside.sizes["shop:2"] = {"cpu": 1024, "memory": 2048}
    report = await pages.run("resource-issues")
    assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])
    assert "are no more than that: nothing was changed" in report.summary


async def test_a_deployment_under_way_is_never_fought(pages, outside):
    outside.deployed(release(3), status="IN_PROGRESS")
    assert isinstance(outside.history[0], ServiceDeployment)
    report = await pages.run("resource-issues")
    assert (report.outcome, report.error.kind, outside.changes) == (Outcome.REFUSED, "policy", [])


async def test_somebody_who_deploys_while_people_decide_makes_the_yes_void(pages, outside):
    outside.approvals = GATED
    run = await pages.start("resource-issues")
    gate = (await pages.asked(run)).checkpoint
    outside.deployed(release(3))
    await asked_again(pages, run, gate)
    assert outside.changes == []
    report = await pages.answer(run)
    assert report.outcome is Outcome.RECOVERED
    assert report.changes[0].before.startswith("shop:3")


@pytest.mark.ending("not-recovered-put-back")
async def test_bigger_tasks_that_do_not_help_are_put_back_at_a_persons_word(pages, outside):
    outside.quality = Quality.BAD
    run = await pages.start("resource-issues")
    assert (await pages.asked(run)).checkpoint.options == ("verify-again", "put-back", "hand-over")
    report = await pages.answer(run, option="put-back")
    assert report.outcome is Outcome.NOT_RECOVERED
    assert outside.changes == [*SCALED_UP, "deploy shop:2"]
    assert [change.undone for change in report.changes] == [None, "undone"]


async def test_bigger_tasks_that_do_not_come_up_are_put_back_at_a_persons_word(pages, outside):
    outside.phase = Phase.STUCK
    run = await pages.start("resource-issues")
    assert (await pages.asked(run)).checkpoint.options == ("put-back", "hand-over")
    outside.phase = Phase.STEADY
    report = await pages.answer(run, option="put-back")
    assert report.outcome is Outcome.NOT_RECOVERED
    assert outside.changes[-1] == "deploy shop:2"


async def test_an_abort_puts_back_what_ran_before(pages, outside):
    outside.quality = Quality.BAD
    run = await pages.start("resource-issues")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes[-1]) == (Outcome.ABORTED, "deploy shop:2")
    assert [change.undone for change in report.changes] == [
        "kept: a revision that no service runs does nothing", "undone",
    ]  # fmt: skip


@pytest.mark.ending("superseded-scaled-up")
async def test_what_somebody_deployed_over_it_while_it_was_verified_is_not_said_to_be_bigger(pages, outside):
    watching = outside.holds("observe")
    run = await pages.start("resource-issues")
    async with asyncio.timeout(PATIENCE):
        while "observe" not in outside.calls:
            await asyncio.sleep(0.01)
    outside.deployed(release(3))
    watching.set()
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.SUPERSEDED, SCALED_UP)
    assert "shop:3 was deployed over it meanwhile" in report.summary


async def test_a_lost_reply_scales_up_once(pages, outside):
    outside.loses_reply = {"deploy_release"}
    report = await pages.run("resource-issues")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, SCALED_UP)


class TestByTerraform:
    """Where a module owns the service, nothing is registered past it."""

    @pytest.fixture
    def outside(self) -> Small:
        return Small(resources=KILLED, owned=True)

    @pytest.mark.ending("recovered-scaled-up-terraform")
    async def test_the_module_gets_the_sizes_and_the_tag_that_runs(self, pages, outside):
        report = await pages.run("resource-issues")
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {BIGGER}"])
        (call,) = report.plan.calls
        assert call.parameters["variables"] == {"image_tag": "1.2.0", "cpu": "512", "memory": "1024"}
        assert call.parameters["changes"]["aws_ecs_task_definition.shop"] == {
            "action": "replace", "cpu": "256 → 512", "memory": "512 → 1024",
        }  # fmt: skip
        assert not {"register_sized", "deploy_release"} & set(outside.calls)

    async def test_bigger_tasks_that_run_another_image_are_reported_at_the_end(self, pages, outside):
        outside.fresh = MOVED
        report = await pages.run("resource-issues")
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {BIGGER}"])
        assert report.summary.endswith(MOVED_TAG)

    async def test_a_plan_that_takes_something_is_refused(self, pages, outside):
        outside.also_lowers = ("desired_count", 5, 2)
        report = await pages.run("resource-issues")
        assert (report.outcome, report.error.kind, outside.changes) == (Outcome.REFUSED, "policy", [])
        assert "would also reduce aws_ecs_task_definition.shop desired_count (5 → 2)" in report.summary

    @pytest.mark.ending("recovered-scaled-up-terraform-hides")
    async def test_a_plan_that_hides_its_containers_needs_a_yes(self, pages, outside):
        outside.hides = True
        run = await pages.start("resource-issues")
        gate = (await pages.asked(run)).checkpoint
        assert "Terraform hides aws_ecs_task_definition.shop container_definitions" in gate.question
        assert outside.changes == []
        report = await pages.answer(run)
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {BIGGER}"])

    async def test_a_stale_plan_opens_the_gate_again(self, pages, outside):
        outside.approvals, outside.moves = GATED, 1
        run = await pages.start("resource-issues")
        gate = (await pages.asked(run)).checkpoint
        await asked_again(pages, run, gate)
        assert outside.changes == []
        report = await pages.answer(run)
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {BIGGER}"])
        assert len(report.changes) == 1

    async def test_an_apply_that_was_cut_off_and_left_nothing_is_not_applied_twice(self, pages, outside):
        outside.cut_off = ["after"]
        report = await pages.run("resource-issues")
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {BIGGER}"])
        assert outside.calls.count("apply_terraform") == 1

    async def test_what_an_apply_that_was_cut_off_left_needs_a_yes(self, pages, outside):
        outside.cut_off = ["before"]
        run = await pages.start("resource-issues")
        assert "cut off half-way" in (await pages.asked(run)).checkpoint.question
        report = await pages.answer(run)
        assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [f"apply {BIGGER}"])

    async def test_a_module_that_does_not_decide_it_is_not_taken_for_a_remedy(self, pages, outside):
        outside.ignores = True
        report = await pages.run("resource-issues")
        assert report.outcome is Outcome.NOT_RECOVERED
        assert "has 256 CPU units instead of 512, 512 MB instead of 1024" in report.summary

    async def test_a_module_with_nothing_to_change_is_reported(self, pages, outside):
        outside.module = BIGGER
        report = await pages.run("resource-issues")
        assert (report.outcome, outside.changes) == (Outcome.REFUSED, [])
        assert "the module does not control that" in report.summary

    async def test_an_abort_applies_what_was_before(self, pages, outside):
        outside.quality = Quality.BAD
        run = await pages.start("resource-issues")
        await pages.asked(run)
        await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
        report = await asyncio.wait_for(run.result(), PATIENCE)
        assert outside.changes == [f"apply {BIGGER}", "apply {'cpu': 256, 'memory': 512, 'pool': 10}"]
        assert [change.undone for change in report.changes] == ["undone"]


async def asked_again(pages, run, gate):
    """Say yes to a gate, and wait until another one is open."""
    await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash})
    async with asyncio.timeout(PATIENCE):
        while (await pages.asked(run)).checkpoint.plan_hash == gate.plan_hash:
            await asyncio.sleep(0.01)
