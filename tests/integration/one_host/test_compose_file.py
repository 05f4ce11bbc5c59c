"""The compose file itself, brought up as a whole by a real Docker engine; images.py says what its images hold here.

The services find each other, wait for each other and are asked for their health as the file says; then an alert goes the
whole way, and everything ends.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.one_host.bringing_up import Project
from tests.integration.one_host.composition import Composition, read_variables
from tests.integration.one_host.host import a_host
from tests.integration.one_host.images import makers
from tests.integration.one_host.product import install_packages, product
from tests.sandbox_under_test import until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("one-host"), pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / ".env.example"
NAMESPACE = "runbooks"
"""One that no server has by itself."""
ALERT = {
    "alertname": "ServiceDown",
    "service": "ai-processor",
    "environment": "staging",
    "severity": "critical",
}
POST = """
import sys, urllib.error, urllib.request
url, body, *headers = sys.argv[1:]
asked = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json", **dict(h.split(": ") for h in headers)})
try:
    print(urllib.request.urlopen(asked, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def secret_files(tmp_path_factory):
    """The secrets, made by the very commands that .env.example tells."""
    folder = tmp_path_factory.mktemp("host")
    commands = [line.removeprefix("#   ") for line in EXAMPLE.read_text().splitlines() if line[:4] == "#   "]
    subprocess.run(["sh", "-euc", "\n".join(commands)], cwd=folder, check=True)
    return folder / "deploy/secrets"


@pytest.fixture(scope="module")
def host():
    with a_host() as host:
        yield host


@pytest.fixture(scope="module")
def project(host, secret_files, tmp_path_factory):
    folder = "./deploy/secrets"
    ours = {name: value.replace(folder, str(secret_files)) for name, value in read_variables(EXAMPLE).items()}
    composition = Composition(ROOT / "docker-compose.temporal.yml", ours | {"TEMPORAL_NAMESPACE": NAMESPACE})
    packages = tmp_path_factory.mktemp("image") / "packages"
    install_packages(packages)
    project = Project(host.docker, composition)
    project.make_images(makers() | {"incident-runbooks": lambda: product(packages)})
    project.up()
    return project


def run(container, *argv, user=""):
    """Run a program in a container, as ``docker compose exec`` does."""
    done = container.exec_run(list(argv), user=user, demux=True)
    out, error = (part.decode() if part else "" for part in done.output)
    return done.exit_code, out, error


def runbook(project, *words):
    """Run the command line in a worker's container."""
    return run(project.containers("worker")[0], "runbook", *words)


def test_everything_is_healthy_and_nothing_had_to_be_started_twice(project):
    assert project.states() == {
        f"incident-runbooks-{name}-{number}": state
        for name, number, state in [
            ("postgres", 1, "healthy"),
            ("schema", 1, "exited 0"),
            ("temporal", 1, "healthy"),
            ("namespace", 1, "exited 0"),
            ("ui", 1, "healthy"),
            ("worker", 1, "healthy"),
            ("worker", 2, "healthy"),
            ("webhook", 1, "healthy"),
            ("prometheus", 1, "healthy"),
            ("alertmanager", 1, "healthy"),
            ("otel-collector", 1, "running"),
            ("grafana", 1, "healthy"),
        ]
    }
    assert {container.attrs["RestartCount"] for container in project.all_containers()} == {0}


def test_both_workers_are_ready(project):
    for worker in project.containers("worker"):
        code, _, error = run(worker, "python", "/app/deploy/healthy.py", "http://127.0.0.1:8081/readyz")
        assert code == 0, error


def test_the_product_is_nobody_who_can_write_nothing_but_where_it_must(project):
    for name in ("worker", "webhook"):
        container = project.containers(name)[0]
        assert run(container, "id", "-u")[1].strip() == "10001"
        assert "CapBnd:\t0000000000000000" in run(container, "cat", "/proc/self/status")[1]
        assert "Read-only file system" in run(container, "touch", "/app/here")[2]
        assert run(container, "touch", "/tmp/here")[0] == 0
    assert run(project.containers("worker")[0], "touch", "/var/lib/runbooks/plans/here")[0] == 0


def test_limits_are_the_kernels(project, host):
    [worker, _] = project.containers("worker")
    assert host.memory_limit(worker) == 2 * 1024**3


def test_only_the_ui_the_webhook_and_grafana_can_be_reached_from_the_host_and_only_by_loopback(project, host):
    listening = {line.split()[3] for line in host.run("ss", "-Hltn").splitlines()}
    assert listening == {"127.0.0.1:8233", "127.0.0.1:8080", "127.0.0.1:3000"}
    for address in ("127.0.0.1:8233/healthz", "127.0.0.1:8080/healthz", "127.0.0.1:3000/api/health"):
        host.run(sys.executable, str(ROOT / "deploy/healthy.py"), f"http://{address}")


def test_the_one_shot_jobs_may_run_again(project):
    for name in ("schema", "namespace"):
        [job] = project.containers(name)
        job.start()
        assert job.wait()["StatusCode"] == 0, job.logs(tail=5)


def test_doctor_sees_from_a_worker_all_that_the_file_puts_there(project):
    _, out, error = runbook(project, "doctor", "--environment", "staging", "--json")
    assert not error
    checks = {check["name"]: check for check in json.loads(out)["checks"] if check["service"] is None}
    there = ("catalog", "temporal", "namespace", "search-attributes", "worker", "worker-catalog")
    assert {name: checks[name]["ok"] for name in there} == dict.fromkeys(there, True)
    assert checks["encryption"]["ok"] is None  # the file of keys is empty
    assert checks["namespace"]["detail"] == f'"{NAMESPACE}" keeps histories for 90d'
    assert len(re.findall(r"\w+@\w+", checks["worker"]["detail"])) == 2
    # There is no AWS here, and nobody gave credentials; a profile that is not there would be another thing to fix.
    assert checks["aws-identity"]["ok"] is False
    assert "profile" not in checks["aws-identity"]["detail"]


def address_of(container, network):
    return container.attrs["NetworkSettings"]["Networks"][f"incident-runbooks_{network}"]["IPAddress"]


def test_who_watches_reaches_neither_temporal_nor_its_ui_nor_its_database(project):
    [prometheus] = project.containers("prometheus")
    for name, port in {"temporal": 7233, "ui": 8080, "postgres": 5432}.items():
        [container] = project.containers(name)
        for address in (name, address_of(container, "core")):
            assert run(prometheus, "nc", "-z", address, str(port))[0] != 0, address
    # What they may reach is reached in the same way, so that the silence above says something.
    assert run(prometheus, "nc", "-z", "alertmanager", "9093")[0] == 0
    [ui] = project.containers("ui")
    assert run(ui, "nc", "-z", "temporal", "7233")[0] == 0


def test_nobody_has_a_capability_or_may_gain_one_and_roots_are_read_only_where_the_image_allows_it(project):
    writable = {}
    for container in project.all_containers():
        host = container.attrs["HostConfig"]
        assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"]), container.name
        writable[container.name] = not host["ReadonlyRootfs"]
    assert [name for name, is_writable in writable.items() if is_writable] == ["incident-runbooks-ui-1"]


def test_the_database_is_nobody_special_either(project):
    [postgres] = project.containers("postgres")
    assert run(postgres, "id", "-u")[1].strip() == "999"


def test_the_webhook_takes_nothing_without_the_token(host):
    for headers in ((), ("Authorization: Bearer another",)):
        assert host.run(sys.executable, "-c", POST, "http://127.0.0.1:8080/alerts", "{}", *headers) == "401\n"


def test_an_alert_opens_its_incident_by_alertmanager_and_webhook(project):
    alertmanager = "http://alertmanager:9093/api/v2/alerts"
    [worker, _] = project.containers("worker")
    code, status, error = run(worker, "python", "-c", POST, alertmanager, json.dumps([{"labels": ALERT}]))
    assert (code, status) == (0, "200\n"), error
    started = {"incident/staging/ai-processor", "remediation/staging/ai-processor"}
    until(lambda: started <= {load["id"] for load in json.loads(runbook(project, "list", "--json")[1])})


def test_traces_of_the_product_reach_the_collector(project):
    [prometheus] = project.containers("prometheus")
    counted = "http://otel-collector:8888/metrics"
    until(lambda: float(run(prometheus, "wget", "-q", "-O", "-", counted)[1].split()[-1]) > 0)


def test_prometheus_reaches_everything_that_it_scrapes_and_finds_both_workers(project):
    [prometheus] = project.containers("prometheus")

    def targets():
        found = json.loads(
            run(prometheus, "wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/targets")[1]
        )
        return sorted(
            (target["labels"]["job"], target["health"]) for target in found["data"]["activeTargets"]
        )

    until(lambda: {health for _, health in targets()} == {"up"} and len(targets()) == 5)
    assert [job for job, _ in targets()] == [
        *("alertmanager", "otel-collector", "prometheus", "runbook-worker", "runbook-worker")
    ]


def test_a_worker_that_dies_is_started_again(project):
    [worker, other] = project.containers("worker")
    run(worker, "sh", "-c", "kill -9 -1", user="10001")
    until(lambda: project.containers("worker")[0].attrs["RestartCount"] == 1)
    assert other.attrs["State"]["Health"]["Status"] == "healthy"


def test_at_the_end_everything_stops_in_order_and_nothing_is_left(project, host):
    ended = project.down()
    assert {name: ended[f"incident-runbooks-{name}"] for name in ("worker-2", "webhook-1")} == {
        "worker-2": 0,
        "webhook-1": 0,
    }
    assert host.docker.containers.list(all=True) == []
    assert host.docker.volumes.list() == []
    assert [item.name for item in host.docker.networks.list() if item.name.startswith("incident")] == []
