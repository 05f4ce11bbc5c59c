"""What is seen of the product from outside: one trace, figures, and how a worker is."""

import socket

import httpx
import pytest
from temporalio.client import Client

from tests.integration.otlp_collector import Collector
from tests.integration.rollback_stage import Stage
from tests.sandbox_under_test import until
from workflows.converter import data_converter

pytestmark = pytest.mark.xdist_group("observed")

CATALOG = """
[environments.observed]
cluster = "observed"
approvals = { needed = 0 }

[services]
"""


class ObservedStage(Stage):
    """A stage whose programs tell of themselves."""

    def __init__(self, world, folder, client, **variables):
        super().__init__(world, folder, client)
        self.catalog.write_text(CATALOG, encoding="utf-8")
        self.variables = variables

    @property
    def environment(self):
        return super().environment | self.variables


def free_address():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{nobody.getsockname()[1]}"


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.end()


@pytest.fixture(scope="module")
async def observed(world, tmp_path_factory, collector):
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = ObservedStage(
        world,
        tmp_path_factory.mktemp("observed"),
        client,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="200",
        RUNBOOK_METRICS=free_address(),
        RUNBOOK_HEALTH=free_address(),
    )
    stage.start_worker()
    yield stage
    stage.end()


@pytest.fixture(scope="module")
async def ended(observed):
    """A rollback that recovered its service."""
    shop = observed.a_shop("observed")
    said = await roll_back(shop, "--wait")
    assert said.json["outcome"] == "recovered", said.err
    yield said.json
    observed.close_shops()


async def roll_back(shop, *words):
    """As a person does, with traces on."""
    target = ("--service", shop.name, "--environment", shop.environment)
    return await shop.cli("start", "rollback", *target, "--json", *words, **shop.stage.variables)


def figures(stage):
    return httpx.get(f"http://{stage.variables['RUNBOOK_METRICS']}/metrics").text


def test_one_trace_leads_from_the_command_line_to_the_call_of_aws(ended, collector):
    trace = ended["trace_id"]
    path = until(lambda: collector.path(trace, "ECS.UpdateService"))
    print("\n".join(collector.tree(trace)))  # noqa: T201 - for who looks at the test
    assert path[0] == "runbook start"
    assert path[-3:] == ["StartActivity:deploy_release", "RunActivity:deploy_release", "ECS.UpdateService"]
    assert "RunWorkflow:Rollback" in path
    assert collector.path(trace, "GET")[:1] == ["runbook start"], "a health probe over HTTP"


def test_the_worker_counts_what_it_did(ended, observed):
    told = figures(observed)
    for figure in (
        f'runbook_procedures_total{{environment="observed",namespace="default",outcome="recovered",procedure="rollback",service="{ended["service"]}"',
        'runbook_aws_calls_total{action="UpdateService",error="none",service="ecs"}',
        "runbook_watcher_batch_sum ",
        'runbook_verdicts_total{environment="observed"',
        'runbook_readings_total{environment="observed"',
        'runbook_phase_duration_seconds_count{environment="observed",heading="Wait for steady state"',
        'temporal_num_pollers{namespace="default",poller_type="workflow_task",task_queue="runbooks-observed"}',
    ):
        assert figure in told, figure


def test_a_worker_says_that_it_lives_and_is_ready(observed):
    where = f"http://{observed.variables['RUNBOOK_HEALTH']}"
    assert httpx.get(f"{where}/healthz").status_code == 200
    ready = httpx.get(f"{where}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "why": None})


async def test_a_collector_that_dies_changes_nothing(observed, collector):
    """Last: the others need it."""
    shop = observed.a_shop("observed")
    started = await roll_back(shop)
    collector.end()
    ended = await shop.cli("watch", shop.short, "--json", **observed.variables)
    assert ended.code == 0, ended.err
    assert ended.json["id"] == started.json["id"]
    assert ended.json["outcome"] == "recovered"
    assert shop.changes() == ["UpdateService"]
