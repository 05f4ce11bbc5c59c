"""Incidents and brakes from the command line, against a real Temporal server."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from temporalio.worker import Worker

from activities.registry import activities_of
from activities.runtime.decisions import GateActivities
from activities.temporal.brakes import BrakeActivities
from activities.temporal.remediations import RemediationActivities
from runbook_model.names import ids
from tests.procedures.stage.incidents import World
from tests.procedures.stage.played import PLAYED
from workflows.brake import Brake
from workflows.incident import Incident
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner


@pytest.fixture
def working(runbook):
    """A worker for incidents, as often as the test wants one."""
    world = World()

    @asynccontextmanager
    async def work():
        client = runbook.client
        activities = [
            *world.activities,
            *activities_of(BrakeActivities(client), RemediationActivities(client), GateActivities()),
        ]
        short = Worker(
            client,
            task_queue=ids.task_queue(runbook.environment),
            workflows=[Incident, Brake, *PLAYED],
            workflow_runner=sandbox_runner(),
            activities=activities,
            interceptors=[TrimArguments()],
        )
        long = Worker(client, task_queue=ids.watch_queue(runbook.environment), activities=[world.announce])
        async with short, long:
            yield

    return work


async def opened(runbook, *more):
    return await runbook("open", "--service", runbook.service, "--environment", runbook.environment, *more)


async def test_an_incident_that_a_person_found_from_its_opening_to_its_end(runbook, working):
    async with working():
        first = await opened(runbook, "--impact", "checkout fails", "--json")
        assert (first.code, first.json["id"]) == (0, f"incident/{runbook.short}")
        second = await opened(runbook)
        assert (second.code, "is open already" in second.err) == (5, True)
        noted = await runbook("note", runbook.short, "--eta", "noon", "--json")
        assert noted.json["confirmed"]
        assert "nobody else is called" in (await runbook("ack", runbook.short, user="bob")).out
        page = (await runbook("show", runbook.short, "--json")).json
        assert (page["impact"], page["eta"], page["acknowledged_by"]) == ("checkout fails", "noon", "bob")
        assert "bob has acknowledged it" in (await runbook("show", runbook.short)).out
        closed = await runbook("close", runbook.short, "--root-cause", "a full disk", user="bob")
        assert (closed.code, closed.out) == (0, "closed\n")
        ended = await runbook("watch", runbook.short, "--json")
        assert (ended.code, ended.json["outcome"]) == (1, "inconclusive")
        again = await runbook("ack", runbook.short)
        assert (again.code, " ended at " in again.err) == (5, True)


async def test_what_runs_belongs_to_the_incident_and_is_listed_with_it(runbook, working):
    async with working():
        await opened(runbook)
        started = await runbook.start("--json")
        assert started.code == 0, started.err
        rows = (await runbook("list", "--environment", runbook.environment, "--open", "--json")).json
        assert {row["procedure"] for row in rows} == {"incident", "rollback"}
        refused = await runbook("close", runbook.short, "--root-cause", "nothing")
        assert (refused.code, "is still under way" in refused.err) == (5, True)
        await runbook("abort", runbook.short, "--reason", "the test is over")


async def test_what_people_say_is_recorded_while_no_worker_lives(runbook, working):
    await opened(runbook, "--impact", "checkout fails")
    for words in (("ack", runbook.short), ("note", runbook.short, "--eta", "noon")):
        said = await runbook(*words, "--json", user="bob")
        assert (said.code, said.json["confirmed"]) == (0, False)
    shown = await runbook("show", runbook.short, "--json")
    assert (shown.code, shown.json["live"]) == (0, False)
    turned = await runbook("brake", "on", runbook.environment, "--reason", "migration", "--json")
    assert (turned.code, turned.json[0]["confirmed"]) == (0, False)
    async with working():
        page = (await runbook("show", runbook.short, "--json")).json
        assert (page["live"], page["acknowledged_by"], page["eta"]) == (True, "bob", "noon")
        shown = (await runbook("brake", "--json")).json
        (mine,) = [item for item in shown if item["environment"] == runbook.environment]
        assert [item["reason"] for item in mine["on"]] == ["migration"]
        assert mine["starts"] == mine["begun"], "the old name stays until 1.0"
        assert (await runbook("brake", "off", runbook.short, "--reason", "x")).code == 0
        off = await runbook("brake", "off", runbook.environment, "--reason", "done")
        assert "is off" in off.out
        await runbook("close", runbook.short, "--root-cause", "a full disk")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("note", "prod/shop"), 2, "nothing to add; give --impact"),
        (("close", "prod/nothing-there", "--root-cause", "x"), 2, "there has been no incident"),
        (("brake", "on", "prod"), 2, "--reason"),
        (("brake", "on", "--reason", "x"), 2, "no environment is given"),
        (("open", "--service", "S", "--environment", "prod"), 2, "cannot be the name of a service"),
    ],
)
async def test_what_cannot_be_used_is_said_with_its_fix(runbook, words, code, says):
    said = await runbook(*words)
    assert (said.code, says in said.err) == (code, True), said.err


async def test_a_brake_has_no_page_but_says_so_truly(runbook, working):
    async with working():
        await runbook("brake", "on", runbook.environment, "--reason", "x")
        shown = await runbook("show", f"brake/{runbook.environment}", "--json")
    assert (shown.code, shown.json["live"]) == (0, True)
    assert shown.json["summary"] == "A run of this kind has no page: `runbook brake` shows it."
