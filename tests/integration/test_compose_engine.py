"""Compose projects on a real container engine: what is read of them, the fenced restart, and a whole page."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import httpx
import psycopg
import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.aws.clients import AwsClients
from activities.catalog.activities import CatalogActivities
from activities.docker.activities import ComposeActivities, ComposeChanges, ping
from activities.docker.engine import Engine
from activities.docker.postgres import PostgresContainer
from activities.docker.reading import read_project
from activities.http.client import http_client
from activities.measuring.activities import VerificationActivities
from activities.measuring.diagnosis import DiagnosisActivities
from activities.measuring.examining import Examination
from activities.measuring.instruments import Instruments, connections_instrument
from activities.measuring.logs import measure_error_lines
from activities.measuring.sources import Sources
from activities.postgres.activities import DatabaseActivities
from activities.postgres.connections import Databases
from activities.registry import activities_of
from activities.runtime.converter import data_converter
from activities.runtime.decisions import GateActivities
from activities.runtime.interceptors import Beat, TranslateErrors
from activities.temporal.predecessor import RunHistory
from runbook_model.catalog.catalog import parse_catalog
from runbook_model.containers import AwaitedService, RestartService
from runbook_model.errors import DriftedError, InputError, NotServingError, UnknownReplyError
from runbook_model.messages import ProcedureRequest
from runbook_model.names import ids
from sandbox.machine.processes import free_port
from tests.engine import Project, an_engine, postgres_command
from tests.patience import PATIENCE
from tests.sandbox_under_test import until
from tests.temporal_server import temporal_server
from worker import served_queues
from workflows.high_error_rate import HighErrorRate
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner

if TYPE_CHECKING:
    from runbook_model.reports import Report

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("engine")]

ROOT = Path(__file__).parents[2]
SETTINGS = ["psql", "-U", "admin", "-d", "postgres", "-c"]
FOREVER = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]
CATALOG = """
[environments.local]
platform = "compose"
compose = {{ project = "{project}" }}
approvals = {{ needed = 0 }}

[services.shop.local]
compose_service = "app"
url = "http://127.0.0.1:{port}"
thresholds = {{ min_requests = 3 }}
verify = {{ bake = "1s", rate_window = "1s", consecutive = 2 }}
rollback = {{ steady = "30s" }}
database = {{ compose_service = "postgres", user = "admin", name = "postgres" }}
probe = {{ path = "/api/v1/process", body = '{{"test": "data"}}' }}
"""


@pytest.fixture(scope="module")
def engine():
    with an_engine() as address:
        yield address


@pytest.fixture
def project(engine, monkeypatch, tmp_path, request):
    monkeypatch.setenv("DOCKER_HOST", engine)
    folder = tmp_path / "data"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    name = f"p{abs(hash(request.node.name)) % 10**8}"
    project = Project(docker.DockerClient(base_url=engine), name, folder)
    yield project
    project.down()


@pytest.fixture
def target(project):
    return parse_catalog(catalog_of(project), "catalog.toml").target("shop", "local")


def catalog_of(project, port: int = 1) -> str:
    return CATALOG.format(project=project.name, port=port)


def attempt(number: int, *details: object) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=number, heartbeat_details=list(details))
    return environment


def restart_of(target, service="app") -> RestartService:
    own = read_project(Engine(), target, service=service).own
    return RestartService(target=target, service=service, fence=tuple(item.fence for item in own))


def run_restart(change, environment=None):
    return (environment or attempt(1)).run(ComposeChanges(Engine()).restart_service, change)


def test_containers_are_found_by_compose_labels_with_their_state_and_what_they_need(project, target):
    began = datetime.now(UTC)
    project.up("app", FOREVER, needs="postgres:service_healthy:false")
    project.up("postgres", ["/bin/sh", "-c", "exit 3"]).wait()
    project.up("migrate", FOREVER, labels={"com.docker.compose.oneoff": "True"})
    read = ComposeActivities(Engine()).read_project(target)
    assert read.services == ("app", "postgres")
    assert read.dependencies == ("postgres",)
    [app], [postgres] = read.own, read.of("postgres")
    assert (app.state, app.serves, app.image) == ("running", True, "localhost/machine:1")
    assert (postgres.state, postgres.exit_code, postgres.failed) == ("exited", 3, True)
    assert began <= app.started <= datetime.now(UTC)


def test_a_project_or_service_that_is_not_there_is_reported_with_those_that_are(project, target):
    project.up("web", FOREVER)
    with pytest.raises(InputError, match=r'no container of a service "app"; there are: web; correct'):
        read_project(Engine(), target)
    other = target.model_copy(update={"compose_project": "nowhere"})
    with pytest.raises(InputError, match=rf'project "nowhere"; there are: .*{project.name}'):
        read_project(Engine(), other)
    unnamed = target.model_copy(update={"compose_project": ""})
    with pytest.raises(InputError, match=r'add compose = \{ project = "…" \} to \[environments.local\]'):
        read_project(Engine(), unnamed)


def test_an_engine_that_is_not_there_is_one_error_with_the_fix(target, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(
        NotServingError, match=r"no Docker engine answers at unix://.*none.sock; start Docker"
    ):
        ping(Engine())
    with pytest.raises(NotServingError, match="set DOCKER_HOST in the worker's environment"):
        ComposeActivities(Engine()).read_project(target)


def test_an_engine_that_is_there_says_its_version(project):
    assert any(character.isdigit() for character in ping(Engine()))


async def test_error_lines_are_counted_redacted_and_bounded(project, target):
    script = 'echo ok; i=0; while [ $i -lt 3 ]; do echo "ERROR database: password=hunter2 refused"; i=$((i+1)); done; sleep 60'
    project.up("app", ["/bin/sh", "-c", script])
    until(lambda: read_now(target).count == 3)
    logs = read_now(target)
    assert (logs.count, logs.complete, logs.dependencies["database"]) == (3, True, 3)
    assert all("hunter2" not in line for line in logs.newest)


async def test_of_very_many_lines_the_newest_are_read_and_that_is_said(project, target):
    script = "i=0; while [ $i -lt 6000 ]; do echo ERROR $i; i=$((i+1)); done; echo ERROR last; sleep 60"
    project.up("app", ["/bin/sh", "-c", script])
    until(lambda: "ERROR last" in read_now(target).newest)
    assert not read_now(target).complete


def read_now(target):
    """Read the logs in a loop of its own: called from where one runs already."""
    with ThreadPoolExecutor(1) as thread:
        asked = measure_error_lines(
            Sources(AwsClients(), Engine(), httpx.AsyncClient()),
            target,
            timedelta(minutes=1),
            datetime.now(UTC) + timedelta(seconds=2),
        )
        return thread.submit(asyncio.run, asked).result()


def test_statistics_are_held_against_the_containers_own_limits(project, target):
    burn = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); while :; do :; done"
    container = project.up("app", ["/bin/sh", "-c", burn], mem_limit="256m", nano_cpus=500_000_000)
    until(lambda: container.stats(stream=False)["memory_stats"]["usage"] > 15_000_000)
    [use] = ComposeActivities(Engine()).read_statistics(target).uses
    assert use.cores_limit == 0.5
    assert use.cpu_share > 0.3
    assert use.memory_limit == 256 * 1024**2
    assert 15_000_000 < use.memory < 256 * 1024**2


def test_a_restart_is_made_once_and_a_repeat_adopts_it(project, target):
    container = project.up("app", FOREVER)
    change = restart_of(target)
    first = run_restart(change)
    [fence], [after] = change.fence, first.containers
    assert (after.state, after.started > fence.started, first.adopted) == ("running", True, ())
    again = run_restart(change, attempt(2))
    assert again.adopted == (container.name,)
    assert again.containers[0].started == after.started


def test_a_stopped_container_is_started_by_a_restart(project, target):
    project.up(
        "app", ["/bin/sh", "-c", "[ -e /data/again ] || { touch /data/again; exit 1; }; exec sleep 60"]
    ).wait()
    assert [container.state for container in run_restart(restart_of(target)).containers] == ["running"]


def test_what_somebody_else_restarted_or_created_again_meanwhile_is_left_alone(project, target):
    container = project.up("app", FOREVER)
    change = restart_of(target)
    container.restart(timeout=1)
    started = read_project(Engine(), target).own[0].started
    with pytest.raises(DriftedError, match="somebody else restarted app") as raised:
        run_restart(change)
    assert raised.value.certainly_not_made
    assert read_project(Engine(), target).own[0].started == started
    container.remove(force=True)
    project.up("app", FOREVER)
    with pytest.raises(DriftedError, match="made its containers again"):
        run_restart(change, attempt(2))


def test_a_restart_that_was_sent_and_is_not_to_be_seen_is_not_sent_again(project, target):
    project.up("app", FOREVER)
    change = restart_of(target)
    sent = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    with pytest.raises(UnknownReplyError, match="it is not sent again; look at the container"):
        run_restart(change, attempt(2, sent))
    assert read_project(Engine(), target).own[0].started == change.fence[0].started


async def test_a_service_that_ends_again_after_its_restart_has_not_come_up(project, target):
    project.up("app", ["/bin/sh", "-c", "exit 4"]).wait()
    restarted = run_restart(restart_of(target))
    settled = await settle(target, restarted)
    assert not settled.ok
    assert "ended again" in settled.detail
    assert "exit code 4" in settled.detail


async def test_a_service_that_runs_after_its_restart_has_come_up(project, target):
    project.up("app", FOREVER)
    assert (await settle(target, run_restart(restart_of(target)))).ok


async def settle(target, restarted):
    awaited = AwaitedService(
        target=target, service="app", containers=tuple(container.fence for container in restarted.containers),
        deadline=datetime.now(UTC) + timedelta(seconds=20),
    )  # fmt: skip
    return await ActivityEnvironment().run(ComposeActivities(Engine()).await_service, awaited)


def test_a_real_server_is_asked_by_its_own_tools(project, target):
    port = free_port()
    container = up_postgres(project, port)
    postgres = PostgresContainer(Engine())
    until(lambda: postgres.read_server(target).accepts)
    with psycopg.connect(host="127.0.0.1", port=port, user="admin", dbname="postgres"):
        answer = postgres.read_server(target)
    assert (answer.used, answer.limit, answer.full) == (1, 9, False)
    held = [psycopg.connect(host="127.0.0.1", port=port, user="admin", dbname="postgres") for _ in range(12)]
    answer = postgres.read_server(target)
    for item in held:
        item.close()
    assert answer.full
    assert "too many clients" in answer.why
    container.kill()
    container.wait()
    answer = postgres.read_server(target)
    assert (answer.accepts, answer.starting) == (False, False)
    assert "exited" in answer.why


def test_a_container_without_the_servers_tools_is_not_known_to_be_down(project, target):
    project.up("postgres", FOREVER, environment={"PATH": "/nowhere"})
    answer = PostgresContainer(Engine()).read_server(target)
    assert answer.accepts is None
    assert "the container has no pg_isready" in answer.summary


def up_postgres(project, port: int):
    command, path = postgres_command(port)
    environment = {"PATH": path, "PGHOST": "127.0.0.1", "PGPORT": str(port), "HOME": "/tmp"}
    return project.up("postgres", command, environment=environment, user="nobody")


def up_app(project, port: int, database: int):
    environment = {
        "PORT": str(port), "SERVICE_VERSION": "1.0.0", "PYTHONDONTWRITEBYTECODE": "1",
        "AI_PROCESSOR_DSN": f"postgresql://admin@127.0.0.1:{database}/postgres",
    }  # fmt: skip
    return project.up(
        "app", [sys.executable, "-m", "sandbox.demo.service"], environment=environment, working_dir=str(ROOT),
        sees=(ROOT, sys.prefix, sys.base_prefix), needs="postgres:service_started:false",
    )  # fmt: skip


async def test_a_database_that_was_killed_is_found_and_restarted_and_the_service_recovers(project, tmp_path):
    port, database = free_port(), free_port()
    dead = up_postgres(project, database)
    until(lambda: dead.exec_run([*SETTINGS, "CREATE TABLE settings AS SELECT 1 AS value"]).exit_code == 0)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(catalog_of(project, port))
    up_app(project, port, database)
    until(lambda: answers(port, 200))
    dead.exec_run(["/bin/sh", "-c", "kill -9 $(head -1 /data/pg/postmaster.pid)"])
    dead.wait()
    until(lambda: not answers(port, 200))
    report = await run_high_error_rate(catalog)
    assert report.outcome == "recovered", report.summary
    assert [change.after for change in report.changes] == ["postgres restarted"]
    assert report.findings[0].startswith("dependency: ")
    assert answers(port, 200)


async def run_high_error_rate(catalog: Path) -> Report:
    """Run a page with the product's own activities, on a Temporal of its own."""
    async with temporal_server(data_converter=data_converter) as temporal, http_client() as http:
        doing = real_activities(temporal.client, http, catalog)
        short = Worker(
            temporal.client, task_queue=ids.task_queue("local"), workflows=[HighErrorRate], workflow_runner=sandbox_runner(),
            activities=doing, activity_executor=ThreadPoolExecutor(4),
            interceptors=[TrimArguments(), TranslateErrors(), Beat()],
        )  # fmt: skip
        waits = [item for item in doing if iscoroutinefunction(item)]
        long = Worker(
            temporal.client,
            task_queue=ids.watch_queue("local"),
            activities=waits,
            interceptors=[TranslateErrors()],
        )
        async with short, long:
            request = ProcedureRequest(service="shop", environment="local", requested_by="alice")
            run = await temporal.client.start_workflow(
                HighErrorRate.run, request, id="remediation/local/shop",
                task_queue=ids.task_queue("local"),
            )  # fmt: skip
            return await asyncio.wait_for(run.result(), PATIENCE)


def real_activities(client, http, catalog: Path):
    engine = Engine()
    sources, postgres = Sources(AwsClients(), engine, http), PostgresContainer(engine)
    others = {
        "connections": connections_instrument(
            DatabaseActivities(Databases()).connections, postgres.connections
        )
    }
    return activities_of(
        CatalogActivities(catalog, served_queues(["local"])),
        RunHistory(client),
        ComposeActivities(engine),
        ComposeChanges(engine),
        GateActivities(),
        postgres,
        DiagnosisActivities(Examination(sources)),
        VerificationActivities(Instruments(sources, others=others)),
    )


def answers(port: int, status: int) -> bool:
    try:
        asked = httpx.post(f"http://127.0.0.1:{port}/api/v1/process", json={"test": "data"})
    except httpx.HTTPError:
        return False
    return asked.status_code == status
