"""Each call of AWS, and each session of a database, says which attempt of which activity makes it."""

from dataclasses import replace

import pytest
from botocore.awsrequest import AWSResponse
from temporalio.testing import ActivityEnvironment

from activities.aws.clients import AwsClients
from activities.runtime.attribution import application_name
from activities.terraform.program import environment_for
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.service_policies import Terraform
from sandbox.aws_calls import CallLog, Request, read_call


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


def test_the_sandbox_logs_who_called_in_which_order():
    log = CallLog()
    for agent in ("Boto3 run/r1 activity/7 attempt/2", "curl"):
        headers = {"x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters", "user-agent": agent}
        log.add(read_call(Request("POST", "/", "", headers, b"{}")), None)
    assert [(entry["sequence"], entry["caller"]) for entry in log.entries] == [
        (1, {"run": "r1", "activity": "7", "attempt": "2"}),
        (2, None),
    ]
