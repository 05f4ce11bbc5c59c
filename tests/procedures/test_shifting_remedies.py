"""Restarts and bigger tasks of services whose deployments shift traffic: by strategy, on the sandbox's state machine without processes."""

from __future__ import annotations

import asyncio

import pytest

from runbook_model.measured.readings import Quality
from runbook_model.releases.shifting import Moment
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.stage.outside import release
from tests.procedures.stage.shifting_outside import STRATEGIES, in_flight
from tests.procedures.stage.shifting_sick import sick
from tests.symptoms import a_service, a_stopped_task, an_onset, tasks_read

BIGGER = {"cpu": 512, "memory": 1024, "pool": 10}
REMEDIES = {
    "restart": ("service-down", ["force"]),
    "scale-up": ("resource-issues", [f"register {BIGGER}", "deploy shop:50"]),
}
"""The procedure that comes to a remedy here, and what that changes."""
ALARMS = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}


@pytest.fixture
def outside(request):
    strategy, *more = getattr(request, "param", ("BLUE_GREEN",))
    return sick(strategy, **(ALARMS if "alarms" in more else {}))


def cells(*more):
    """Each strategy by each remedy; the strategies differ only in their steps, so two of them are for the longer tests."""
    return pytest.mark.parametrize(
        ("outside", "remedy"),
        [
            pytest.param(
                (strategy, *more),
                remedy,
                id=f"{strategy}-{remedy}",
                marks=[] if strategy == "CANARY" else [pytest.mark.rare],
            )
            for strategy in STRATEGIES
            for remedy in REMEDIES
        ],
        indirect=["outside"],
    )


every = cells()
with_alarms = cells("alarms")


@every
async def test_a_whole_deployment_says_what_it_is_and_is_verified_from_the_bake_time_on(
    pages, outside, remedy
):
    procedure, changes = REMEDIES[remedy]
    verifying = outside.holds("observe")
    run = await pages.start(procedure)
    await pages.calls(outside, "observe")
    assert outside.history[0].shift.moment(outside.history[0].status) is Moment.BAKING
    verifying.set()
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, changes), report.summary
    assert outside.history[0].status == "SUCCESSFUL"
    words = " ".join(report.plan.because)
    assert outside.configuration["strategy"] in words
    assert "At the longest it takes" in words
    stops = [call.action for follow in report.plan.follows for call in follow.calls]
    assert "StopServiceDeployment" in stops


@pytest.mark.ending("recovered-shifting-restarted")
async def test_a_restart_is_said_to_be_a_whole_deployment(pages, outside):
    report = await pages.run("service-down")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["force"]), report.summary
    assert "A restart is a whole deployment of this service." in report.plan.because
    assert [change.fate for change in report.changes] == ["made"]


@pytest.mark.ending("recovered-shifting-scaled-up")
async def test_bigger_tasks_get_all_traffic_and_are_followed_through_the_bake_time(pages, outside):
    report = await pages.run("resource-issues")
    assert (report.outcome, outside.current.revision) == (Outcome.RECOVERED, "shop:50"), report.summary
    assert outside.calls.count("await_steady_state") == 2


@pytest.mark.parametrize(
    ("moment", "changes"),
    [("shifting", ["stop"]), ("finished", ["deploy shop:2"])],
    ids=["in-flight", "finished"],
)
async def test_a_release_that_brought_the_service_down_goes_back_in_the_way_of_its_strategy(
    pages, outside, moment, changes
):
    crashes = (a_stopped_task(200, "shop:3"), a_stopped_task(100, "shop:3"))
    onset = an_onset(before="shop:2").model_copy(update={"release": "shop:3"})
    runs = a_service().model_copy(update={"task_definition": release(3).task_definition})
    outside.tasks = tasks_read(*crashes, onset=onset, service=runs)
    in_flight(outside, moment)
    report = await pages.run("service-down")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, changes), report.summary
    assert outside.current.revision == "shop:2"


@every
async def test_an_abort_stops_the_deployment_while_the_old_tasks_run(pages, outside, remedy):
    procedure, changes = REMEDIES[remedy]
    outside.holds("observe")
    run = await pages.start(procedure)
    await pages.calls(outside, "observe")
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, [*changes, "stop"]), report.summary
    assert report.changes[-1].undone == "undone"
    assert outside.current.revision == "shop:2"
    assert outside.history[0].shift.returned


@pytest.mark.ending("aborted-shifting-restart")
async def test_an_abort_of_a_restart_in_its_bake_time_is_a_stop(pages, outside):
    outside.holds("observe")
    run = await pages.start("service-down")
    await pages.calls(outside, "observe")
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["force", "stop"])


async def test_a_deployment_that_somebody_started_since_is_not_stopped_by_an_abort(pages, outside):
    outside.holds("observe")
    run = await pages.start("service-down")
    await pages.calls(outside, "observe")
    outside.at("finished")
    outside.deploys(release(2))
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.ABORTED, ["force"])
    assert "another deployment was started meanwhile" in report.changes[-1].undone


@pytest.mark.ending("not-recovered-shifting-put-back")
async def test_bigger_tasks_that_do_not_help_are_put_back_by_a_stop(pages, outside):
    outside.quality = Quality.BAD
    run = await pages.start("resource-issues")
    report = await pages.answer(run, option="put-back")
    assert (report.outcome, outside.changes[-2:]) == (Outcome.NOT_RECOVERED, ["deploy shop:50", "stop"])
    assert [change.undone for change in report.changes] == [None, "undone"]


async def test_a_restart_that_did_not_help_is_a_persons_choice_and_its_bake_time_is_not_waited_for(
    pages, outside
):
    outside.quality = Quality.BAD
    run = await pages.start("service-down")
    report = await pages.answer(run, option="hand-over")
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["force"])
    assert outside.calls.count("await_steady_state") == 1


@pytest.mark.ending("not-recovered-shifting-restart-alarm")
@with_alarms
async def test_an_alarm_in_the_bake_time_takes_the_recovery_back(pages, outside, remedy):
    procedure, changes = REMEDIES[remedy]
    outside.alarm_in_the_bake = True
    report = await pages.run(procedure)
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, changes)
    assert "the deployment was rolled back" in report.summary


@every
async def test_a_lost_reply_starts_one_deployment(pages, outside, remedy):
    procedure, changes = REMEDIES[remedy]
    outside.loses_reply = {"force_deployment", "deploy_release"}
    report = await pages.run(procedure)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, changes), report.summary


@pytest.mark.ending("refused-shifting-under-way")
@every
async def test_nothing_is_deployed_over_somebody_elses_deployment(pages, outside, remedy):
    in_flight(outside, "shifting")
    report = await pages.run(REMEDIES[remedy][0])
    assert (report.outcome, report.error.kind, outside.changes) == (Outcome.REFUSED, "policy", [])
    assert report.error.message.startswith("shop:3 (1.3.0) is being deployed: traffic is being shifted; ")
    assert report.error.fix == (
        "wait for its end, or take it back by a stop: runbook start rollback prod/shop"
    )


async def test_what_ecs_rolls_back_is_waited_for_and_not_stopped(pages, outside):
    in_flight(outside, "shifting")
    outside.machine.stop()
    outside.at("rolling-back")
    report = await pages.run("service-down")
    assert (report.outcome, report.error.fix) == (Outcome.REFUSED, "wait for its end")
    assert "ECS rolls it back" in report.error.message


async def test_revisions_that_a_stopped_deployment_left_are_a_persons(pages, outside):
    in_flight(outside, "shifting")
    outside.machine.stop(abort=True)
    outside.at("ended")
    report = await pages.run("service-down")
    assert (report.outcome, outside.changes) == (Outcome.REFUSED, [])
    assert "left 2 revisions: which of them has the traffic is not known" in report.summary


@pytest.mark.ending("superseded-shifting-restart")
@every
async def test_a_deployment_over_what_is_verified_is_left_alone(pages, outside, remedy):
    procedure, changes = REMEDIES[remedy]
    verifying = outside.holds("observe")
    run = await pages.start(procedure)
    await pages.calls(outside, "observe")
    outside.machine = None
    outside.deploys(release(4))
    verifying.set()
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.SUPERSEDED, changes)
    assert "shop:4 (1.4.0) was deployed over it meanwhile" in report.summary
