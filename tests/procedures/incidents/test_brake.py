"""The brake: what is started automatically, and what it changes, is held as people and the catalog say."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

from runbook_model.brakes import BrakeRequest
from runbook_model.catalog.policies import Brake as BrakePolicy
from runbook_model.names import ids
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.stage.incidents import QUICK, World
from tests.procedures.stage.messages import continues_as_a_new_run, refused
from workflows.brake import LONG, Brake
from workflows.page.sandbox import sandbox_runner


async def brake(stage, *, on: bool, service: str | None = None):
    """A person puts the brake on, or lets it go."""
    handle = await stage.client.start_workflow(
        Brake.run,
        BrakeRequest(environment=stage.environment),
        id=ids.brake_id(stage.environment),
        task_queue=ids.task_queue(stage.environment),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    order = {"by": "alice", "on": on, "service": service, "reason": "migration"}
    answer = await handle.execute_update(Brake.switch, order)
    target = f"{stage.environment}/{service}" if service else stage.environment
    assert answer.detail.startswith(f"the brake of {target} is {'on' if on else 'off'}")
    return stage.client.get_workflow_handle(handle.id)


@pytest.mark.parametrize("service", [None, "shop"])
async def test_a_persons_brake_holds_what_would_be_started_until_it_is_taken_off(stage, world, service):
    await brake(stage, on=True, service=service)
    await stage.fires("HighErrorRate")
    seen = await stage.until(lambda now: now.held)
    assert "alice switched the brake on" in seen.held
    assert "A person may: runbook start high-error-rate" in seen.summary
    assert seen.next_call is not None
    await brake(stage, on=False, service=service)
    await stage.running("high-error-rate")


async def test_another_services_brake_does_not_hold(stage):
    await brake(stage, on=True, service="cart")
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")


async def test_a_persons_wish_needs_no_leave_and_its_changes_neither(stage, world):
    await brake(stage, on=True)
    await stage.opens(procedure="rollback")
    await stage.running("rollback")
    await stage.cue("change")
    await stage.until(lambda now: now.changes)
    assert world.changes == 1


@pytest.mark.history("held")
async def test_a_held_incident_can_be_worked_on_by_a_person_and_ends(stage):
    await brake(stage, on=True)
    handle = await stage.fires("HighErrorRate")
    await stage.until(lambda now: now.held)
    await stage.starts("rollback", incident=handle.id)
    await stage.running("rollback")
    await stage.cue("change")
    await stage.ends("recovered")
    await stage.until(lambda now: now.procedures[0].outcome == "recovered")
    await stage.resolves("HighErrorRate")
    assert (await stage.over()).outcome is Outcome.RECOVERED


async def test_it_is_asked_again_before_each_change_of_what_was_started_automatically(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await brake(stage, on=True)
    await stage.cue("change")
    seen = await stage.until(lambda now: now.procedures[0].state == "paused")
    assert world.changes == 0
    assert "migration" in seen.procedures[0].summary
    await brake(stage, on=False)
    await stage.until(lambda now: now.changes and now.procedures[0].state == "running")
    assert world.changes == 1


async def test_an_abort_works_while_the_brake_holds_a_change(stage, world):
    await stage.fires("HighErrorRate")
    await stage.running("high-error-rate")
    await brake(stage, on=True)
    await stage.cue("change")
    await stage.until(lambda now: now.procedures[0].state == "paused")
    await stage.procedure().signal("abort", {"by": "bob", "reason": "enough"})
    seen = await stage.until(lambda now: now.procedures[0].outcome)
    assert (seen.procedures[0].outcome, world.changes) == ("aborted", 0)


async def test_what_comes_back_soon_is_held_for_a_while_and_then_started(stage, world):
    world.rhythm = QUICK.model_copy(update={"cool_down": timedelta(seconds=5)})
    for again in (False, True):
        handle = await stage.fires("HighErrorRate", fingerprint=f"{again}")
        if again:
            seen = await stage.until(lambda now: now.held)
            assert "ran once recently and the problem is back" in seen.held
            assert seen.procedures == ()
        await stage.running("high-error-rate")
        # Before the procedure ends: an alert that fires on afterwards starts the next one.
        await stage.resolves("HighErrorRate", fingerprint=f"{again}")
        await stage.ends("recovered")
        await asyncio.wait_for(handle.result(), PATIENCE)


async def test_a_storm_over_many_targets_is_a_persons(stage, world):
    world.brake = BrakePolicy(targets_at_once=2)
    for service in ("a", "b"):
        await stage.fires("HighErrorRate", service=service)
        await stage.running("high-error-rate", service)
    await stage.fires("HighErrorRate", service="c")
    seen = await stage.until(lambda now: now.held, "c")
    assert "looks like one cause" in seen.held
    await stage.ends("recovered", "a")
    await stage.until(lambda now: now.procedures[0].outcome, "a")
    seen = await stage.until(lambda now: now.held, "c")
    assert seen.procedures == ()


async def test_what_was_killed_does_not_count_as_under_way(stage, world):
    world.brake = BrakePolicy(targets_at_once=1)
    await stage.fires("HighErrorRate", service="a")
    await stage.running("high-error-rate", "a")
    await stage.incident("a").terminate()
    await stage.procedure("a").terminate()
    await stage.fires("HighErrorRate", service="b")
    await stage.running("high-error-rate", "b")


async def test_its_messages_are_judged_and_no_payload_stops_it(stage):
    handle = await brake(stage, on=True)
    for payload in (None, 7, {"on": True}, {"by": "alice", "on": "perhaps", "reason": "x"}):
        await handle.signal("switch", payload)
    await handle.signal("finished", {"not": "a key"})
    assert "reason" in await refused(handle, Brake.switch, {"by": "a", "on": True}, kind="InvalidMessage")
    again = {"by": "bob", "on": True, "reason": "again"}
    assert (await handle.execute_update(Brake.switch, again)).already
    report = await handle.query(Brake.status)
    assert (len(report.rejected), [item.by for item in report.book.on]) == (5, ["alice"])


async def test_it_continues_as_a_new_run_and_still_holds(stage):
    handle = await brake(stage, on=True, service="shop")
    await continues_as_a_new_run(handle, "finished", 7, after=LONG)
    report = await handle.query(Brake.status)
    assert [item.service for item in report.book.on] == ["shop"]


async def test_it_ends_once_nobody_holds_it_and_nothing_is_remembered(temporal):
    async with Worker(
        temporal.client,
        task_queue="brakes",
        workflows=[Brake],
        workflow_runner=sandbox_runner(),
        activities=[World().verify_decision],
    ):
        handle = await temporal.client.start_workflow(
            Brake.run, BrakeRequest(environment="prod"), id="brake/prod", task_queue="brakes"
        )
        await handle.execute_update(Brake.switch, {"by": "alice", "on": True, "reason": "migration"})
        await temporal.sleep(timedelta(hours=49))
        assert (await handle.describe()).status.name == "RUNNING"
        await handle.execute_update(Brake.switch, {"by": "alice", "on": False, "reason": "done"})
        assert (await handle.result()).book.on == ()
