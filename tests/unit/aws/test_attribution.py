"""Each call of AWS, Slack and the container engine, and each session of a database, says which attempt of which activity makes it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.awsrequest import AWSResponse
from temporalio.testing import ActivityEnvironment

from activities.aws.clients import AwsClients
from activities.chat.slack import SlackClients
from activities.docker.engine import Engine
from activities.runtime.fence import application_name, knowing_who_asks
from activities.terraform.program import environment_for
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.service_policies import Terraform
from sandbox.aws.calls import Request, read_call
from sandbox.call_log import CallLog, Entry
from sandbox.postgres.server import changes_in


@pytest.fixture
def sent(monkeypatch):
    """The headers of what is sent, and a client that sends nothing further."""
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(name, value)
    headers = []
    client = AwsClients().ecs(Account(region="us-east-1"))

    def answer(request, **_):
        headers.append({name.lower(): value for name, value in request.headers.items()})
        return AWSResponse(request.url, 200, {}, Raw())

    client.meta.events.register("before-send", answer)
    return client, headers


class Raw:
    def stream(self):
        return iter([b"{}"])


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def test_a_call_within_an_activity_says_run_activity_and_attempt(sent):
    client, headers = sent
    activity = ActivityEnvironment()
    activity.run(client.list_clusters)
    info = activity.info
    agent = text(headers[0]["user-agent"])
    assert "incident-runbooks" in agent
    assert agent.endswith(f"run/{info.workflow_run_id} activity/{info.activity_id} attempt/1")


def test_a_call_of_nobodys_says_nothing_of_the_kind(sent):
    client, headers = sent
    client.list_clusters()
    assert "attempt/" not in text(headers[0]["user-agent"])


def test_terraform_says_it_too(tmp_path):
    owner = Terraform(directory=str(tmp_path))
    given = ActivityEnvironment().run(environment_for, owner, {}, tmp_path)
    assert given["TF_APPEND_USER_AGENT"].endswith("attempt/1")
    assert "TF_APPEND_USER_AGENT" not in environment_for(owner, {}, tmp_path)


def test_a_session_of_a_database_is_named_after_it_and_the_name_fits():
    activity = ActivityEnvironment()
    run = "0" * 36
    activity.info = replace(activity.info, workflow_run_id=run, activity_id="12", attempt=3)
    assert activity.run(application_name) == f"incident-runbooks/{run}/12/3"
    assert len(activity.run(application_name)) <= 63
    assert application_name() == "incident-runbooks"


@pytest.fixture
def engine(monkeypatch):
    """What a container engine is asked, by user agent; it answers that it lives."""
    agents = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self):
            agents.append(self.headers["User-Agent"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_port}")
        monkeypatch.setattr("docker.api.client.APIClient._retrieve_server_version", lambda _: "1.47")
        yield agents
        server.shutdown()


def test_a_call_of_the_container_engine_says_it_too_from_a_thread_of_a_pool(engine):
    def restart():
        with Engine().client("restart it") as docker, ThreadPoolExecutor(1) as threads:
            threads.submit(knowing_who_asks(docker.api.restart, "shop-app-1")).result()

    activity = ActivityEnvironment()
    activity.run(restart)
    info = activity.info
    assert engine == [f"incident-runbooks run/{info.workflow_run_id} activity/{info.activity_id} attempt/1"]


def test_both_clients_of_slack_say_it_too():
    def agents():
        clients = SlackClients("http://localhost/api/")
        return clients.web("xoxb-1").headers["User-Agent"], clients.webhook("http://x").default_headers[
            "User-Agent"
        ]

    for agent in ActivityEnvironment().run(agents):
        assert agent.endswith("attempt/1")
        assert "incident-runbooks run/" in agent


def test_the_sandbox_logs_who_called_in_which_order():
    log = CallLog()
    for agent in ("Boto3 run/r1 activity/7 attempt/2", "curl"):
        headers = {"x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters", "user-agent": agent}
        log.add(read_call(Request("POST", "/", "", headers, b"{}")).entry(None))
    assert [(entry["sequence"], entry["caller"]) for entry in log.entries()] == [
        (1, {"run": "r1", "activity": "7", "attempt": "2"}),
        (2, None),
    ]


def test_what_another_program_wrote_before_a_call_comes_before_it_in_the_one_sequence():
    log, written = CallLog(), []
    log.read_before_each(lambda: [written.pop() for _ in written])
    log.add(Entry("aws", "ecs", "ListClusters", {}, None))
    written.append(Entry("postgresql", "postgresql", "pg_terminate_backend", {}, None))
    log.add(Entry("docker", "docker", "ContainerRestart", {}, None))
    assert [(entry["sequence"], entry["system"]) for entry in log.entries()] == [
        (1, "aws"),
        (2, "postgresql"),
        (3, "docker"),
    ]
    assert [entry["sequence"] for entry in log.entries("docker")] == [3]


POSTGRES = """\
2026-11-30 17:00:00.001 UTC|incident-runbooks/r1/12/3|LOG:  statement: BEGIN READ ONLY
2026-11-30 17:00:00.002 UTC|incident-runbooks/r1/12/3|LOG:  execute <unnamed>: SELECT set_config('lock_timeout', $1, true)
2026-11-30 17:00:00.002 UTC|incident-runbooks/r1/12/3|DETAIL:  Parameters: $1 = '1000'
2026-11-30 17:00:00.003 UTC|incident-runbooks/r1/12/3|LOG:  execute <unnamed>:
\tSELECT pid, pg_terminate_backend(pid) AS ended FROM pg_stat_activity
\tWHERE pid = $1 AND backend_start = $2
2026-11-30 17:00:00.003 UTC|incident-runbooks/r1/12/3|DETAIL:  Parameters: $1 = '4711', $2 = '2026-11-30 16:59:00+00'
2026-11-30 17:00:00.004 UTC|migration|FATAL:  terminating connection due to administrator command
2026-11-30 17:00:00.005 UTC|psql|LOG:  statement: SELECT pg_terminate_backend(1)
2026-11-30 17:00:00.006 UTC|incident-runbooks|LOG:  statement: DROP TABLE settings
2026-11-30 17:00:00.007 UTC|incident-runbooks/r1/12/3|LOG:  statement: ;
"""


def test_of_the_log_of_a_database_the_products_changes_are_taken_over_with_who_made_them():
    found = [
        (entry.action, entry.parameters["given"], entry.caller) for entry in changes_in(POSTGRES, "prod")
    ]
    assert found == [
        (
            "pg_terminate_backend",
            ["4711", "2026-11-30 16:59:00+00"],
            {"run": "r1", "activity": "12", "attempt": "3"},
        ),
        ("DROP", [], None),
    ]
    assert changes_in("", "prod") == []
