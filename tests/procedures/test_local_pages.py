"""Every page on a service that runs by compose: what is restarted, what a person decides, and what is never done."""

from __future__ import annotations

import asyncio

import pytest

from runbook_model.catalog.policies import Approvals
from runbook_model.catalog.service_policies import Database
from runbook_model.containers import ServerAnswer
from runbook_model.errors import NotServingError, UnreachableError
from runbook_model.measured.readings import Quality
from runbook_model.reports import Outcome
from tests.patience import PATIENCE
from tests.procedures.stage.outside import STARTED
from tests.procedures.stage.outside_compose import OutsideCompose, container
from tests.symptoms import errors_read, latency_read, load_read, logs_read, resources_read

FULL = ServerAnswer(accepts=True, used=96, limit=97, at=STARTED)
AWAY = ServerAnswer(accepts=False, why="no response", at=STARTED)
SERVES = ServerAnswer(accepts=True, used=3, limit=97, at=STARTED)
PAGES = ["service-down", "high-error-rate", "high-latency", "resource-issues", "database-issues"]


@pytest.fixture
def outside() -> OutsideCompose:
    return OutsideCompose()


def headings(report) -> list[str]:
    return list(dict.fromkeys(step.heading for step in report.steps))


@pytest.mark.ending("recovered-restarted")
async def test_a_service_that_crashed_is_restarted_once_and_verified(pages, outside):
    outside.crashed("shop")
    report = await pages.run("service-down")
    assert report.outcome is Outcome.RECOVERED
    assert outside.changes == ["restart shop"]
    assert report.findings[0].startswith("crash-loop: shop-shop-1 exited with exit code 1")
    assert headings(report) == [
        "Look at the service, its tasks and its logs",
        "Ask before changing anything",
        "Put it right",
        "Wait for steady state",
        "Verify",
    ]
    assert "read_statistics" in outside.calls


async def test_a_service_that_runs_and_does_not_answer_is_restarted(pages, outside):
    outside.health, outside.heals = Quality.BAD, True
    report = await pages.run("service-down")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart shop"])
    assert "it runs but does not answer" in report.findings[0]


@pytest.mark.ending("recovered-restarted-in-order")
async def test_the_dependency_that_is_down_is_restarted_first_and_then_what_did_not_come_back_with_it(
    pages, outside
):
    outside.crashed("postgres")
    outside.crashed("shop")
    report = await pages.run("service-down")
    assert report.outcome is Outcome.RECOVERED
    assert outside.changes == ["restart postgres", "restart shop"]
    assert [change.before for change in report.changes] == [
        "shop-postgres-1 exited with exit code 1",
        "shop-shop-1 exited with exit code 1",
    ]


async def test_what_came_back_with_its_dependency_is_left_alone(pages, outside):
    outside.crashed("postgres")
    outside.quality = Quality.BAD
    run = await pages.start("service-down")
    report = await pages.answer(run, option="hand-over")
    assert outside.changes == ["restart postgres"]
    assert report.outcome is Outcome.NOT_RECOVERED


async def test_what_somebody_seems_to_have_stopped_needs_a_yes_even_where_nobody_need_be_asked(
    pages, outside
):
    outside.crashed("shop", code=143)
    run = await pages.start("service-down")
    seen = await pages.asked(run)
    assert "Somebody seems to have stopped it" in seen.checkpoint.question
    assert outside.changes == []
    assert (await pages.answer(run)).outcome is Outcome.RECOVERED
    assert outside.changes == ["restart shop"]


@pytest.mark.parametrize(
    ("procedure", "symptoms"),
    [
        ("service-down", {}),
        ("service-down", {"quality": Quality.BAD, "health": Quality.GOOD}),
        ("service-down", {"quality": Quality.NO_DATA}),
        ("high-error-rate", {}),
        ("high-error-rate", {"errors": errors_read(0.3, 0.3, None)}),
        ("high-error-rate", {"errors": errors_read(0.3, 0.3, 0.3)}),
        (
            "high-error-rate",
            {"errors": errors_read(0.3, 0.3, 0.3), "load": load_read(rate=300.0, usual=25.0)},
        ),
        ("high-latency", {}),
        ("high-latency", {"latency": latency_read(now=None)}),
        ("high-latency", {"latency": latency_read(2.0, 2.0, 2.0), "resources": resources_read(cpu=0.97)}),
        ("resource-issues", {}),
        ("resource-issues", {"resources": resources_read(cpu=0.97)}),
        ("resource-issues", {"resources": resources_read(cpu=None, memory=None)}),
    ],
)
async def test_without_a_clear_cause_a_person_chooses_and_nothing_is_changed(
    pages, outside, procedure, symptoms
):
    for name, value in symptoms.items():
        setattr(outside, name, value)
    run = await pages.start(procedure)
    seen = await pages.asked(run)
    assert set(seen.checkpoint.options) >= {"restart-shop", "done", "skip"}
    report = await pages.answer(run, option="skip")
    assert (report.outcome, report.changes, outside.changes) == (Outcome.INCONCLUSIVE, (), [])


@pytest.mark.parametrize("procedure", ["service-down", "high-error-rate", "high-latency", "resource-issues"])
async def test_several_dependencies_that_are_down_are_a_persons_choice(pages, outside, procedure):
    outside.quality = Quality.BAD
    outside.errors, outside.latency = errors_read(0.3, 0.3, 0.3), latency_read(2.0, 2.0, 2.0)
    outside.resources = resources_read(cpu=0.97)
    outside.crashed("postgres")
    outside.containers["redis"] = container("redis", state="exited", exit_code=1)
    run = await pages.start(procedure)
    seen = await pages.asked(run)
    assert set(seen.checkpoint.options) >= {"restart-shop", "restart-postgres", "restart-redis"}
    await pages.answer(run, option="skip")
    assert outside.changes == []


@pytest.mark.parametrize("procedure", ["service-down", "high-error-rate", "high-latency", "resource-issues"])
async def test_a_persons_choice_to_restart_is_made_and_verified(pages, outside, procedure):
    report = await pages.answer(await pages.start(procedure), option="restart-shop")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart shop"])


@pytest.mark.ending("recovered-done-by-a-person")
async def test_what_a_person_says_is_done_is_verified(pages, outside):
    report = await pages.answer(await pages.start("high-latency"), option="done")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [])
    assert "latency" in outside.observations[-1].looks


async def test_errors_while_one_dependency_is_down_restart_that(pages, outside):
    outside.errors = errors_read(0.3, 0.3, 0.3, types={"db": 40.0})
    outside.becomes("postgres", health="unhealthy")
    report = await pages.run("high-error-rate")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart postgres"])
    assert report.findings[0].startswith("dependency: shop-postgres-1 running, unhealthy")


async def test_errors_about_a_database_whose_container_is_well_are_looked_into_by_database_issues(
    pages, outside
):
    outside.errors = errors_read(0.3, 0.3, 0.3, types={"database": 40.0})
    outside.answer, outside.serves_after = AWAY, {"postgres": SERVES}
    report = await pages.run("high-error-rate")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart postgres"])
    child = pages.client.get_workflow_handle(f"remediation/{pages.environment}/shop/database-issues")
    assert (await child.describe()).workflow_type == "DatabaseIssues"


async def test_slow_answers_while_the_database_is_full_are_the_databases(pages, outside):
    outside.latency, outside.answer = latency_read(2.0, 2.0, 2.0), FULL
    run = await pages.start("high-latency")
    seen = await pages.asked(run)
    assert "max_connections" in seen.checkpoint.question
    report = await pages.answer(run, option="skip")
    assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])
    assert report.findings[0].startswith("database: database load: it accepts connections")


@pytest.mark.parametrize("procedure", ["high-latency", "resource-issues"])
async def test_that_scaling_out_is_not_offered_is_said(pages, outside, procedure):
    outside.latency, outside.resources = latency_read(2.0, 2.0, 2.0), resources_read(cpu=0.97)
    run = await pages.start(procedure)
    seen = await pages.asked(run)
    assert any("No tasks are added to a compose project" in found for found in seen.findings)
    assert "scale-out" not in seen.checkpoint.options
    await pages.answer(run, option="skip")


@pytest.mark.ending("recovered-database-restarted")
async def test_a_database_that_is_down_is_restarted_and_verified_by_connecting(pages, outside):
    outside.answer, outside.serves_after = AWAY, {"postgres": SERVES}
    report = await pages.run("database-issues")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart postgres"])
    assert headings(report) == [
        "Check the database",
        "Find who holds the connections",
        "Ask before changing anything",
        "Restart the database",
        "Verify by connecting and by the service's health",
    ]
    assert "connections" in outside.observations[-1].looks


async def test_a_database_that_still_takes_no_connections_is_not_recovered_whatever_health_says(
    pages, outside
):
    outside.answer = AWAY
    run = await pages.start("database-issues")
    report = await pages.answer(run, option="hand-over")
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["restart postgres"])
    assert "it accepts no connections" in report.summary


@pytest.mark.parametrize(
    "answer",
    [
        SERVES,
        ServerAnswer(accepts=False, starting=True, why="rejecting connections", at=STARTED),
        ServerAnswer(accepts=None, why="the container has no pg_isready", at=STARTED),
        ServerAnswer(accepts=True, why="psql ended with 2", at=STARTED),
    ],
)
async def test_a_database_that_is_well_or_starts_or_cannot_be_asked_is_handed_over(pages, outside, answer):
    outside.answer = answer
    report = await pages.run("database-issues")
    assert (report.outcome, outside.changes) == (Outcome.INCONCLUSIVE, [])


async def test_a_full_database_is_restarted_only_if_a_person_says_so(pages, outside):
    outside.answer, outside.serves_after = FULL, {"postgres": SERVES}
    run = await pages.start("database-issues")
    seen = await pages.asked(run)
    assert "restart-database" in seen.checkpoint.options
    assert outside.changes == []
    report = await pages.answer(run, option="restart-database")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart postgres"])


@pytest.mark.ending("refused-by-compose")
async def test_rolling_back_is_refused_with_the_reason(pages, outside):
    report = await pages.run("rollback")
    assert (report.outcome, report.error.kind) == (Outcome.REFUSED, "policy")
    assert "compose, which keeps no history of releases" in report.error.message


@pytest.mark.parametrize("procedure", PAGES)
async def test_a_plan_is_only_a_plan(pages, outside, procedure):
    outside.crashed("shop")
    outside.answer = AWAY
    report = await pages.run(procedure, plan_only=True)
    assert (report.outcome, outside.changes) == (Outcome.PLANNED, [])


async def test_a_restart_waits_for_its_approval_and_names_the_containers(pages, outside):
    outside.approvals = Approvals()
    outside.crashed("shop")
    run = await pages.start("service-down")
    plan = (await pages.asked(run)).checkpoint.plan
    assert plan.calls[0].parameters["containers"] == ["shop-shop-1"]
    assert outside.changes == []
    assert (await pages.answer(run)).outcome is Outcome.RECOVERED


async def test_a_container_restarted_by_somebody_while_people_decide_makes_the_yes_void(pages, outside):
    outside.approvals = Approvals()
    outside.becomes("shop", health="unhealthy")
    run = await pages.start("service-down")
    gate = (await pages.asked(run)).checkpoint
    outside.becomes("shop", started=STARTED.replace(hour=5))
    await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash})
    async with asyncio.timeout(PATIENCE):
        while (again := (await pages.asked(run)).checkpoint).plan_hash == gate.plan_hash:
            await asyncio.sleep(0.01)
    assert outside.changes == []
    await run.execute_update("decide", {"by": "bob", "plan_hash": again.plan_hash})
    assert (await run.result()).outcome is Outcome.RECOVERED
    assert outside.changes == ["restart shop"]


async def test_a_loop_of_crashes_does_not_make_the_yes_void(pages, outside):
    outside.approvals = Approvals()
    outside.becomes("shop", state="restarting", restarts=4)
    run = await pages.start("service-down")
    gate = (await pages.asked(run)).checkpoint
    outside.becomes("shop", started=STARTED.replace(hour=5), restarts=9)
    await run.execute_update("decide", {"by": "bob", "plan_hash": gate.plan_hash})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart shop"])


@pytest.mark.ending("recovered-restart-adopted")
async def test_a_restart_whose_answer_was_lost_is_adopted(pages, outside):
    outside.crashed("shop")
    outside.loses_reply = {"restart_service"}
    report = await pages.run("service-down")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart shop"])
    assert outside.calls.count("restart_service") == 2


@pytest.mark.ending("not-recovered-after-restart")
async def test_a_service_that_does_not_come_up_is_not_recovered(pages, outside):
    outside.crashed("shop")
    outside.fixes = set()
    report = await pages.run("service-down")
    assert report.outcome is Outcome.NOT_RECOVERED
    assert "shop-shop-1 exited with exit code 1" in report.summary


async def test_after_a_dependency_that_does_not_come_up_the_service_is_left_alone(pages, outside):
    outside.crashed("postgres")
    outside.crashed("shop")
    outside.fixes = {"shop"}
    report = await pages.run("service-down")
    assert (report.outcome, outside.changes) == (Outcome.NOT_RECOVERED, ["restart postgres"])


async def test_no_data_after_a_restart_is_not_recovery(pages, outside):
    outside.crashed("shop")
    outside.quality = Quality.NO_DATA
    run = await pages.start("service-down")
    report = await pages.answer(run, option="hand-over")
    assert report.outcome is Outcome.INCONCLUSIVE
    assert outside.changes == ["restart shop"]


async def test_an_engine_that_is_away_is_one_clear_error_and_nothing_is_changed(pages, outside):
    error = NotServingError("no Docker engine answers at unix:///var/run/docker.sock", fix="start Docker")
    outside.fails["read_project"] = [error] * 100
    report = await pages.run("service-down")
    assert (report.outcome, report.changes) == (Outcome.FAILED, ())
    assert "no Docker engine answers at unix:///var/run/docker.sock; start Docker." in report.summary
    assert outside.calls.count("read_project") < 20


async def test_an_engine_that_is_away_for_a_moment_only_costs_that_moment(pages, outside):
    outside.crashed("shop")
    outside.fails["read_project"] = [UnreachableError("no answer in time")]
    assert (await pages.run("service-down")).outcome is Outcome.RECOVERED


async def test_an_abort_after_the_restart_says_that_nothing_is_to_be_put_back(pages, outside):
    outside.crashed("shop")
    outside.quality = Quality.BAD
    run = await pages.start("service-down")
    await pages.asked(run)
    await run.execute_update("abort_run", {"by": "carol", "reason": "enough"})
    report = await asyncio.wait_for(run.result(), PATIENCE)
    assert report.outcome is Outcome.ABORTED
    assert report.changes[0].undone.startswith("nothing to undo")


async def test_a_database_with_a_dsn_is_read_and_verified_over_it(pages, outside):
    outside.database = Database(dsn_env="SHOP_DSN", compose_service="postgres")
    outside.answer, outside.serves_after = AWAY, {"postgres": SERVES}
    report = await pages.run("database-issues")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, ["restart postgres"])
    assert "read_server" not in outside.calls
    assert {"read_database", "test_connection"} <= set(outside.calls)


async def test_a_database_that_no_service_of_the_project_is_is_restarted_by_a_person(pages, outside):
    outside.database, outside.answer = Database(dsn_env="SHOP_DSN"), AWAY
    run = await pages.start("database-issues")
    seen = await pages.asked(run)
    assert seen.checkpoint.question.startswith("Bring the database back")
    outside.answer = SERVES
    report = await pages.answer(run, option="done")
    assert (report.outcome, outside.changes) == (Outcome.RECOVERED, [])


async def test_logs_that_cannot_be_read_are_a_doubt_and_no_cause(pages, outside):
    outside.crashed("shop")
    outside.logs = logs_read(away=True)
    report = await pages.run("service-down")
    assert "logs not known" in report.findings[0]
    assert report.outcome is Outcome.RECOVERED
