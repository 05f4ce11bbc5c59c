"""One trace from an alert to the calls of AWS, whole while it grows and across the death of a worker."""

import asyncio

import httpx
import pytest
from temporalio.client import Client

from activities.runtime.converter import data_converter
from sandbox.machine.processes import free_port
from tests.integration.observing.observed_stage import ObservedStage
from tests.integration.observing.otlp_collector import BlackHole, Collector
from tests.integration.observing.webhook_process import WebhookProcess
from tests.integration.rollback.rollback_stage import seen, step
from tests.patience import PATIENCE
from tests.sandbox_under_test import until
from tests.webhook_calls import a_payload, an_alert
from workflows.incidents.report import IncidentReport

TOKEN = "a-token-of-this-test"
PATH = [
    "runbook webhook",
    "SignalWithStartWorkflow:Incident",
    "RunWorkflow:Incident",
    "StartChildWorkflow:Rollback",
    "RunWorkflow:Rollback",
    "StartActivity:deploy_release",
    "RunActivity:deploy_release",
    "ECS.UpdateService",
]
NO_ROOM = {"minimumHealthyPercent": 99, "maximumPercent": 100}
"""A deployment of one task with it starts nothing and stops nothing."""
ROOM = {"minimumHealthyPercent": 100, "maximumPercent": 200}


class TracedStage(ObservedStage):
    """A stage whose workers can be distinguished in traces, and its webhook."""

    def __init__(self, world, folder, client, collector):
        super().__init__(world, folder, client, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        self.webhook = WebhookProcess(free_port(), folder)
        self.webhook.start(self.environment | {"RUNBOOK_WEBHOOK_TOKEN": TOKEN})

    def start_worker(self, name):
        self.variables["OTEL_SERVICE_NAME"] = name
        super().start_worker()

    def alert(self, shop, status):
        """As Alertmanager reports it."""
        alert = an_alert(
            "BadRelease", status, service=shop.name, environment=shop.environment, severity="critical"
        )
        answer = httpx.post(
            f"{self.webhook.url}/alerts", json=a_payload(alert), headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert answer.status_code == 200, answer.text

    def end(self):
        super().end()
        self.webhook.kill()


@pytest.fixture
def collector(request):
    collector = getattr(request, "param", Collector)()
    yield collector
    collector.end()


@pytest.fixture
async def stage(world, tmp_path, collector):
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = TracedStage(world, tmp_path, client, collector)
    stage.start_worker("first worker")
    yield stage
    stage.close_shops()
    stage.end()


@pytest.mark.rare
async def test_one_trace_leads_from_the_alert_to_the_call_of_aws_while_it_grows_and_past_a_killed_worker(
    stage, collector
):
    shop = stage.open_shop("observed", "1.0.0", "1.1.0")
    shop.update(deploymentConfiguration=NO_ROOM)
    stage.alert(shop, "firing")
    incident = stage.client.get_workflow_handle(f"incident/{shop.short}", result_type=IncidentReport)
    rollback = stage.client.get_workflow_handle(shop.id)
    until(lambda: shop.changes() == ["UpdateService"])
    await seen(rollback, step("Wait until only"))
    trace = (await incident.query("status", result_type=IncidentReport)).trace_id
    assert until(lambda: collector.path(trace, "ECS.UpdateService")) == PATH, "while all of it is under way"
    until(lambda: "RunActivity:await_steady_state" in collector.names(trace, "first worker"))
    assert collector.without_parent(trace) == ["runbook webhook"]

    stage.kill_worker()
    shop.update(deploymentConfiguration=ROOM)
    stage.start_worker("second worker")
    async with asyncio.timeout(PATIENCE):
        assert (await rollback.result())["outcome"] == "recovered"
        stage.alert(shop, "resolved")
        assert (await incident.result()).outcome == "recovered"
    until(lambda: "RunWorkflow:Incident (to its end)" in collector.names(trace, "second worker"))
    print("\n".join(collector.tree(trace)))  # noqa: T201 - for who looks at the test
    assert collector.without_parent(trace) == ["runbook webhook"]
    assert collector.names(trace, "second worker") >= {
        "RunActivity:await_steady_state",
        "RunActivity:observe",
        "RunWorkflow:Rollback (to its end)",
    }
    assert shop.changes() == ["UpdateService"]


@pytest.mark.rare
@pytest.mark.parametrize("collector", [BlackHole], indirect=True)
async def test_a_collector_that_never_answers_changes_nothing_and_holds_nobody_up(stage, collector):
    shop = stage.open_shop("observed", "1.0.0", "1.1.0")
    target = ("--service", shop.name, "--environment", shop.environment)
    said = await shop.cli("start", "rollback", *target, "--wait", "--json", **stage.variables)
    assert said.json["outcome"] == "recovered", said.err
    assert shop.changes() == ["UpdateService"]
    assert len(collector.taken) > 1, "the worker tried, again and again"
    stage.worker.terminate()
    assert stage.worker.wait(60) == 0
