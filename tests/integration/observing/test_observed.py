"""What is seen of the product from outside: one trace, figures, and how a worker is."""

import asyncio
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import yaml
from temporalio.client import Client

from activities.runtime.converter import data_converter
from activities.runtime.processes import start_child, stop_child
from runbook_model.incident.messages import Alert, AlertBatch
from starter.client.incidents import report_alerts
from tests.integration.observing.observed_stage import ObservedStage, free_address
from tests.integration.observing.otlp_collector import Collector
from tests.patience import PATIENCE
from tests.sandbox_under_test import until

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))


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
async def ended(observed, prometheus):
    """A rollback that recovered its service; Prometheus looked on."""
    shop = observed.a_shop("observed")
    said = await roll_back(shop, "--wait")
    assert said.json["outcome"] == "recovered", said.err
    yield said.json
    observed.close_shops()


@pytest.fixture(scope="module")
async def over(observed, ended):
    """An incident that alerts opened and a person took, with its messages, and closed; one of them fires to its end."""
    target = ("observed", ended["service"])
    now = datetime.now(UTC)
    fires, stops = (
        Alert(
            fingerprint=name,
            name=name,
            status="firing",
            service=target[1],
            environment=target[0],
            starts_at=now,
        )
        for name in ("DiskFull", "DiskSlow")
    )
    await report_alerts(
        observed.client, target[1], target[0], AlertBatch(alerts=(fires, stops), received=now)
    )
    handle = observed.client.get_workflow_handle("/".join(("incident", *target)))
    await handle.execute_update("acknowledge", {"by": "alice"})
    stopped = stops.model_copy(update={"status": "resolved", "ends_at": now})
    batch = AlertBatch(alerts=(stopped,), received=now + timedelta(seconds=1))
    await report_alerts(observed.client, target[1], target[0], batch)
    await handle.execute_update("close", {"by": "alice", "root_cause": "a full disk"})
    async with asyncio.timeout(PATIENCE):
        return await handle.result()


async def roll_back(shop, *words):
    """As a person does, with traces on."""
    target = ("--service", shop.name, "--environment", shop.environment)
    return await shop.cli("start", "rollback", *target, "--json", *words, **shop.stage.variables)


def as_deployed(addresses, folder):
    """The configuration that compose mounts; only the addresses are of this machine, and it looks each second."""
    configuration = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    configuration["global"] = dict.fromkeys(configuration["global"], "1s")
    rules = configuration["rule_files"]
    configuration["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in rules]
    configuration["alerting"]["alertmanagers"] = []
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    configuration["scrape_configs"] = [
        {"job_name": name, "static_configs": [{"targets": [address]}]}
        for name, address in addresses.items()
        if jobs.pop(name)
    ]
    assert set(jobs) == {"alertmanager", "otel-collector"}, "these two are not run here"
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    return file


@pytest.fixture(scope="module")
def prometheus(observed, tmp_path_factory):
    """The product's own Prometheus, as it is deployed."""
    folder = tmp_path_factory.mktemp("prometheus")
    address = free_address()
    addresses = {
        "prometheus": address,
        "runbook-worker": observed.variables["RUNBOOK_METRICS"],
    }
    program = shutil.which("prometheus")
    assert program, "prometheus is not installed: run `make set-up`"
    with (folder / "log").open("wb") as log:
        child = start_child(
            [
                program,
                f"--config.file={as_deployed(addresses, folder)}",
                f"--web.listen-address={address}",
                f"--storage.tsdb.path={folder / 'data'}",
            ],
            stderr=log,
            stdout=log,
        )
    try:
        yield f"http://{address}/api/v1"
    finally:
        stop_child(child, 5.0)


def ask(prometheus, what, **parameters):
    try:
        answer = httpx.get(f"{prometheus}/{what}", params=parameters).json()
    except httpx.TransportError:  # it only starts
        return None
    assert answer["status"] == "success", answer
    return answer["data"]


def queries():
    """Every query of every panel, with Grafana's variables filled in."""
    for dashboard in DASHBOARDS:
        for panel in json.loads(dashboard.read_text())["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$environment", ".*")
                for variable in ("$__range", "$__rate_interval"):
                    query = query.replace(variable, "1m")
                assert "$" not in query
                yield pytest.param(query, id=f"{dashboard.stem}: {panel['title']} {target['refId']}")


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


async def test_one_trace_leads_through_an_incident_and_its_procedure(observed, ended, collector):
    shop = observed.a_shop("observed")
    target = ("--service", shop.name, "--environment", shop.environment)
    said = await shop.cli("open", *target, "--procedure", "rollback", "--json", **observed.variables)
    assert said.code == 0, said.err
    shown = await shop.cli("show", said.json["id"], "--json", **observed.variables)
    trace = shown.json["trace_id"]
    async with asyncio.timeout(PATIENCE):
        await observed.client.get_workflow_handle(shop.id).result()
        incident = observed.client.get_workflow_handle(said.json["id"])
        await incident.execute_update("close", {"by": "alice", "root_cause": "a test"})
        await incident.result()  # what a run did is reported while it runs, and the run itself at its end
    path = until(
        lambda: (found := collector.path(trace, "ECS.UpdateService"))[:1] == ["runbook open"] and found
    )
    print("\n".join(collector.tree(trace)))  # noqa: T201 - for who looks at the test
    assert path[-1] == "ECS.UpdateService"
    assert [name for name in path if name.startswith("RunWorkflow:")] == [
        "RunWorkflow:Incident",
        "RunWorkflow:Rollback",
    ]


def test_the_worker_counts_what_it_did(ended, observed):
    wording = figures(observed)
    for figure in (
        f'runbook_procedures_total{{environment="observed",namespace="default",outcome="recovered",procedure="rollback",service="{ended["service"]}"',
        'runbook_aws_calls_total{action="UpdateService",error="none",service="ecs"}',
        "runbook_watcher_batch_sum ",
        'runbook_verdicts_total{environment="observed"',
        'runbook_readings_total{environment="observed"',
        'runbook_phase_duration_seconds_count{environment="observed",heading="Wait for steady state"',
        'temporal_num_pollers{namespace="default",poller_type="workflow_task",task_queue="runbooks-observed"}',
    ):
        assert figure in wording, figure


def test_a_worker_says_that_it_lives_and_is_ready(observed):
    where = f"http://{observed.variables['RUNBOOK_HEALTH']}"
    assert httpx.get(f"{where}/healthz").status_code == 200
    ready = httpx.get(f"{where}/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "why": None})


def test_prometheus_finds_every_process_where_it_is_deployed_to_look(prometheus, ended):
    def health():
        found = ask(prometheus, "targets", state="active")
        targets = found["activeTargets"] if found else []
        return {target["labels"]["job"]: target["health"] for target in targets if target["health"] == "up"}

    until(lambda: set(health()) == {"prometheus", "runbook-worker"})
    rules = {rule["name"] for group in ask(prometheus, "rules")["groups"] for rule in group["rules"]}
    assert {"ServiceDown", "RunbookNoWorker"} <= rules


@pytest.mark.parametrize("query", list(queries()))
def test_every_panel_of_the_dashboards_shows_something(prometheus, over, query):
    until(lambda: (ask(prometheus, "query", query=query) or {}).get("result"))


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
