"""The sandbox's container engine, by the real Docker client: its containers behave as those of an engine do."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import psutil
import pytest
from docker.errors import APIError, NotFound

from runbook_model.catalog.catalog import load_catalog
from tests.sandbox_under_test import until

PROJECT = "ai-processor-local"
OWN = {"label": f"com.docker.compose.project={PROJECT}"}


@pytest.fixture(scope="module")
def engine(world):
    client = docker.DockerClient(base_url=world.addresses.env["DOCKER_HOST"], timeout=20)
    yield client
    client.close()


@pytest.fixture
def app(world, engine):
    """The service's first container, running and healthy; whatever is done to it, both are created again afterwards."""
    yield until(lambda: well(engine, "ai-processor-1"))
    world.compose()


@pytest.fixture
def postgres(engine):
    container = until(lambda: well(engine, "postgres-1"))
    yield container
    container.start()
    until(lambda: well(engine, "postgres-1"))


def named(engine, name):
    return engine.containers.get(f"{PROJECT}-{name}")


def well(engine, name):
    container = named(engine, name)
    return container if state_of(container)["Health"]["Status"] == "healthy" else None


def state_of(container):
    container.reload()
    return container.attrs["State"]


def test_the_project_is_found_by_the_labels_that_compose_gives(engine, app):
    found = {item.name: item for item in engine.containers.list(filters=OWN)}
    assert set(found) == {f"{PROJECT}-{name}" for name in ("ai-processor-1", "ai-processor-2", "postgres-1")}
    labels = found[app.name].labels
    assert labels["com.docker.compose.service"] == "ai-processor"
    assert labels["com.docker.compose.depends_on"] == "postgres:service_healthy:false"
    assert app.attrs["Config"]["Image"] == "ai-processor:1.0.0"
    assert app.attrs["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped", "MaximumRetryCount": 0}
    assert engine.containers.list(filters={"label": "com.docker.compose.project=other"}) == []


def test_a_restart_keeps_the_container_and_starts_a_new_process(app):
    before = app.attrs
    app.restart(timeout=5)
    after = state_of(app)
    assert app.attrs["Id"] == before["Id"]
    assert after["Pid"] not in {0, before["State"]["Pid"]}
    assert after["StartedAt"] > before["State"]["StartedAt"]
    assert after["FinishedAt"] > before["State"]["StartedAt"]


def test_a_restart_waits_for_what_hangs_and_kills_it_while_others_are_answered(world, engine, app):
    world.compose(action="hang")
    before, began = state_of(app), time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        restart = threads.submit(app.restart, timeout=2)
        assert engine.ping()
        assert not restart.done()
        restart.result()
    assert time.monotonic() - began >= 2
    assert state_of(app)["Pid"] not in {0, before["Pid"]}


def test_a_process_that_is_killed_is_started_again_by_the_policy_and_counted(app):
    before = app.attrs
    psutil.Process(before["State"]["Pid"]).kill()
    until(
        lambda: state_of(app)["Status"] == "running" and app.attrs["State"]["Pid"] != before["State"]["Pid"]
    )
    assert (app.attrs["Id"], app.attrs["RestartCount"]) == (before["Id"], before["RestartCount"] + 1)


def test_what_was_killed_or_stopped_by_hand_stays_so(app):
    app.kill()
    killed = state_of(app)
    assert (killed["Status"], killed["ExitCode"], killed["Running"]) == ("exited", 137, False)
    app.restart(timeout=5)
    until(lambda: state_of(app)["Health"]["Status"] == "healthy")
    app.stop(timeout=5)
    assert (state_of(app)["Status"], app.attrs["State"]["ExitCode"]) == ("exited", 0)
    assert app.attrs["RestartCount"] == 0


def test_without_a_policy_a_crash_leaves_its_exit_code(world, engine, app):
    world.compose(environment={"FAULT_CRASH_AFTER_SECONDS": "0.1"}, restart="no")
    recreated = named(engine, "ai-processor-1")
    assert recreated.id != app.id
    until(lambda: state_of(recreated)["Status"] == "exited")
    assert (recreated.attrs["State"]["ExitCode"], recreated.attrs["RestartCount"]) == (1, 0)
    with pytest.raises(NotFound, match="No such container"):
        app.reload()


def test_a_policy_with_a_number_gives_up_after_it(world, engine, app):
    world.compose(environment={"FAULT_CRASH_AFTER_SECONDS": "0.1"}, restart="on-failure:2")
    recreated = named(engine, "ai-processor-1")
    until(lambda: state_of(recreated)["Status"] == "exited" and recreated.attrs["RestartCount"] == 2)
    assert recreated.attrs["HostConfig"]["RestartPolicy"]["MaximumRetryCount"] == 2


def test_what_outgrows_its_memory_is_killed_and_that_is_reported(world, engine, app):
    world.compose(environment={"FAULT_LEAK_MB_PER_SECOND": "400"}, restart="no")
    recreated = named(engine, "ai-processor-1")
    until(lambda: state_of(recreated)["Status"] == "exited")
    assert (recreated.attrs["State"]["OOMKilled"], recreated.attrs["State"]["ExitCode"]) == (True, 137)


def test_logs_keep_both_streams_and_the_time_of_each_line(app, postgres):
    """The service writes to stdout, PostgreSQL to stderr."""
    until(lambda: b'"started"' in app.logs(stderr=False))
    assert b'"started"' not in app.logs(stdout=False)
    until(lambda: b"ready to accept connections" in postgres.logs(stdout=False))
    assert b"ready to accept connections" not in postgres.logs(stderr=False)
    line = app.logs(stderr=False, timestamps=True, tail=1)
    assert line.startswith(state_of(app)["StartedAt"][:10].encode())
    assert b"".join(app.logs(stream=True, follow=False, since=time.time() + 60)) == b""
    with pytest.raises(APIError, match="at least one stream"):
        app.logs(stdout=False, stderr=False)


def test_statistics_are_those_of_the_process(world, engine, app):
    world.compose(environment={"FAULT_CPU": "0.5"})
    recreated = until(lambda: well(engine, "ai-processor-1"))
    read = recreated.stats(stream=False)
    burnt = read["cpu_stats"]["cpu_usage"]["total_usage"] - read["precpu_stats"]["cpu_usage"]["total_usage"]
    assert burnt > 20_000_000
    held = psutil.Process(recreated.attrs["State"]["Pid"]).memory_info().rss
    assert read["memory_stats"]["usage"] == pytest.approx(held, rel=0.2)
    assert read["memory_stats"]["limit"] == recreated.attrs["HostConfig"]["Memory"] == 512 * 1024**2


def test_the_databases_own_tools_ask_the_server(postgres):
    who = ["-U", "ai_processor", "-d", "ai_processor"]
    asked = postgres.exec_run(["psql", "-X", "-A", "-t", *who, "-c", "SELECT current_user, 1 + 1"])
    assert (asked.exit_code, asked.output) == (0, b"ai_processor|2\n")
    assert postgres.exec_run(["pg_isready", *who]).exit_code == 0
    failed = postgres.exec_run(["psql", *who, "-c", "SELECT nothing"])
    assert failed.exit_code == 1
    assert b'column "nothing" does not exist' in failed.output


def test_a_database_that_was_killed_fails_requests_until_it_is_started(world, postgres):
    url = load_catalog(Path(world.addresses.catalog)).target("ai-processor", "local").url
    ask = {"url": f"{url}/api/v1/process", "json": {"test": "data"}}
    until(lambda: world.http.post(**ask).status_code == 200)  # the test before may have left it starting
    postgres.kill()
    until(lambda: world.http.post(**ask).status_code == 500)
    with pytest.raises(APIError, match="is not running"):
        postgres.exec_run(["pg_isready"])
    postgres.start()
    until(lambda: world.http.post(**ask).status_code == 200)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["sh", "-c", "id"], "sh: only pg_isready and psql"),
        (["psql", "-c", "\\! id"], "start with a backslash"),
        (["psql", "-f", "/etc/passwd"], "the option -f"),
    ],
)
def test_nothing_else_is_run_in_a_container(postgres, argv, words):
    with pytest.raises(APIError, match=words) as refused:
        postgres.exec_run(argv)
    assert refused.value.status_code == 501


def test_a_container_without_the_program_says_so_as_an_engine_does(app):
    assert app.exec_run(["psql"]).exit_code == 127


def test_what_is_not_simulated_says_so_in_the_engines_own_form(engine):
    with pytest.raises(APIError, match="does not simulate GET /images/json") as refused:
        engine.images.list()
    assert refused.value.status_code == 501
    with pytest.raises(NotFound, match="No such container: nobody"):
        engine.containers.get("nobody")


def test_prometheus_sees_the_load_of_the_project(world, app):
    query = 'sum by (task) (rate(http_requests_total{service="ai-processor",environment="local"}[10s]))'
    with world.under_load("local"):
        rates = until(lambda: [item for item in world.query(query) if item[1] > 5])
    assert {labels["task"] for labels, _ in rates} <= {f"{PROJECT}-ai-processor-{n}" for n in (1, 2)}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"service": "moon"}, "service must be one of: ai-processor, postgres"),
        ({"service": "postgres", "action": "explode"}, "action must be one of: kill, hang"),
        ({"service": "postgres"}, "environment must be an object"),
        ({"service": "postgres", "environment": {}, "restart": "twice"}, "restart must be one of: no"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused_with_what_can(world, body, words):
    refused = world.http.post(f"{world.addresses.aws}/_sandbox/compose", json=body)
    assert refused.status_code == 400
    assert words in refused.json()["error"]
