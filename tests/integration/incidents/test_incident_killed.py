"""Webhook, worker, Alertmanager and Temporal die in the middle of a real incident: nothing is lost, nothing is done twice."""

import pytest
from temporalio.client import Client

from activities.runtime.converter import data_converter
from runbook_model.reports import Outcome
from starter.processes.world import World
from tests.integration.incidents.town import PARTS, Town

pytestmark = [pytest.mark.xdist_group("incidents"), pytest.mark.timeout(400)]
OPENED = "the incident was opened"
MOMENTS = (OPENED, "Put the release back", "Wait for steady state", "Verify health, error rate and logs")


@pytest.fixture(scope="module")
async def town():
    world = World(alerts=True)
    try:
        world.start(worker=True)
        world.start_webhook()
        client = await Client.connect(world.addresses["temporal"], data_converter=data_converter)
        town = Town(world, client)
        town.allow_one_outage_after_the_other()
        await town.everyday()
        yield town
    finally:
        world.end()


@pytest.mark.rare
async def test_each_part_is_killed_in_turn(town):
    town.kill("alertmanager", "webhook")
    outage = town.outage("staging")
    await outage.fires()
    town.revive("alertmanager", "webhook")
    await outage.opened()
    await outage.at("Wait for steady state")
    town.kill("worker", "temporal")
    town.revive("worker", "temporal")
    await outage.at("Verify health, error rate and logs")
    town.kill("webhook", "alertmanager")
    town.revive("webhook", "alertmanager")
    await went_once(outage)


@pytest.mark.rare
@pytest.mark.parametrize("moment", MOMENTS)
async def test_all_parts_are_killed_at_once(town, moment):
    outage = town.outage("staging")
    await (outage.opened() if moment == OPENED else outage.at(moment))
    town.kill(*PARTS)
    town.revive(*PARTS)
    await went_once(outage)


async def went_once(outage):
    """The incident ends as if nobody had died."""
    page = await outage.over()
    assert page.outcome is Outcome.RECOVERED, page.summary
    assert [(alert.name, alert.status) for alert in page.alerts] == [("HighErrorRate", "resolved")]
    assert [procedure.procedure for procedure in page.procedures] == ["high-error-rate"]
    for workflow_id in (outage.incident, outage.remediation, f"{outage.remediation}/rollback"):
        assert len(await outage.runs(workflow_id)) == 1, workflow_id
    assert outage.changes() == ["UpdateService"]

    messages = await outage.messages()
    assert len({message.thread for message in messages}) == 1
    assert list(dict.fromkeys(message.number for message in messages)) == list(range(1, page.announced + 1))
    unmarked = [message.number for message in messages if not message.is_repeat]
    assert len(unmarked) == len(set(unmarked))
    assert "INCIDENT: " in messages[0].text
    assert "RESOLVED: " in messages[-1].text
    assert "HighErrorRate" in await outage.review()
