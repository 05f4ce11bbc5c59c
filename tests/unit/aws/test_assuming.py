"""Roles of environments: STS answers by botocore's Stubber, everything behind it is botocore's own."""

import os
from datetime import UTC, datetime, timedelta
from functools import cache

import botocore.session
import pytest
from botocore.stub import Stubber

from activities.aws.clients import AwsClients
from runbook_model.catalog.accounts import Account, AssumeRole, account_of
from runbook_model.errors import AccessDeniedError, InputError, OutsideError, UnreachableError

ARN = "arn:aws:iam::111122223333:role/incident-runbooks"
ROLE = AssumeRole(role_arn=ARN)
PROD = account_of("prod", "eu-west-1", ROLE)
ASKED = {"RoleArn": ARN, "RoleSessionName": "runbook-prod", "DurationSeconds": 900}
MINUTES = timedelta(minutes=1)


@pytest.fixture
def clients(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "worker")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    clients = AwsClients()
    clients._own.register_component("data_loader", models())
    return clients


@cache
def models():
    """AWS's models, read once: that takes botocore a second for each test."""
    return botocore.session.get_session().get_component("data_loader")


@pytest.fixture
def sts(clients):
    with Stubber(clients.sts(Account(region="eu-west-1"))) as stub:
        yield stub
        stub.assert_no_pending_responses()


def session(number, lasts=15 * MINUTES):
    return {
        "Credentials": {
            "AccessKeyId": f"ASIAXXXXXXXXXXXXXXX{number}",
            "SecretAccessKey": "secret",
            "SessionToken": f"token {number}",
            "Expiration": datetime.now(UTC) + lasts,
        }
    }


def signed_with(client):
    """The session token that the client's next request is signed with."""
    sent = []
    client.meta.events.register("before-send", lambda request, **_: sent.append(request) or Answer())
    client.list_clusters()
    return sent[0].headers.get("X-Amz-Security-Token", b"").decode() or None


class Answer:
    """An empty answer of AWS, in place of the network."""

    status_code, headers, content, text = 200, {}, b"{}", "{}"


class TestARole:
    def test_is_taken_on_for_its_environment_in_its_region(self, clients, sts):
        sts.add_response("assume_role", session(1), ASKED)
        client = clients.ecs(PROD)
        assert client.meta.region_name == "eu-west-1"
        assert signed_with(client) == "token 1"

    @pytest.mark.usefixtures("sts")  # has no answer to give: asking it would fail
    def test_is_not_taken_on_where_the_catalog_names_none(self, clients):
        assert signed_with(clients.ecs(account_of("prod", "eu-west-1", None))) is None

    def test_is_taken_on_once_for_all_clients_and_calls(self, clients, sts):
        sts.add_response("assume_role", session(1))
        assert clients.ecs(PROD) is clients.ecs(PROD)
        clients.logs(PROD)
        clients.cloudwatch(PROD)

    def test_is_taken_on_by_each_environment_for_itself(self, clients, sts):
        sts.add_response("assume_role", session(1), ASKED)
        sts.add_response("assume_role", session(2), ASKED | {"RoleSessionName": "runbook-eu"})
        ours, others = clients.ecs(PROD), clients.ecs(account_of("eu", "eu-west-1", ROLE))
        assert signed_with(ours) == "token 1"
        assert signed_with(others) == "token 2"

    def test_is_given_the_external_id_that_the_worker_has(self, clients, sts, monkeypatch):
        monkeypatch.setenv("PROD_EXTERNAL_ID", "shared-secret")
        role = AssumeRole(role_arn=ARN, external_id_env="PROD_EXTERNAL_ID", session="1h")
        sts.add_response(
            "assume_role", session(1), ASKED | {"ExternalId": "shared-secret", "DurationSeconds": 3600}
        )
        assert signed_with(clients.ecs(account_of("prod", "eu-west-1", role))) == "token 1"

    @pytest.mark.usefixtures("sts")  # has no answer to give: asking it would fail
    def test_whose_external_id_is_missing_is_never_asked_for(self, clients):
        role = AssumeRole(role_arn=ARN, external_id_env="PROD_EXTERNAL_ID")
        with pytest.raises(
            InputError, match="the worker's environment has no PROD_EXTERNAL_ID, which the role of prod"
        ):
            clients.ecs(account_of("prod", "eu-west-1", role))

    def test_that_may_not_be_assumed_says_which_and_what_to_allow(self, clients, sts):
        refusal = "User: worker is not authorized to perform: sts:AssumeRole on resource: it"
        sts.add_client_error("assume_role", "AccessDenied", refusal, http_status_code=403)
        with pytest.raises(AccessDeniedError) as raised:
            clients.ecs(PROD)
        assert f"could not assume the role {ARN}" in str(raised.value)
        assert str(raised.value).endswith("allow sts:AssumeRole for the worker's role")

    def test_that_sts_does_not_give_says_that_nothing_was_sent(self, clients, sts):
        sts.add_client_error("assume_role", "InternalFailure", http_status_code=500)
        with pytest.raises(UnreachableError) as raised:
            clients.ecs(PROD)
        assert raised.value.may_have_landed is False


class TestASession:
    def test_that_is_about_to_end_is_renewed_before_the_next_call(self, clients, sts):
        sts.add_response("assume_role", session(1, lasts=4 * MINUTES))
        sts.add_response("assume_role", session(2))
        assert signed_with(clients.ecs(PROD)) == "token 2"

    def test_continues_while_it_lasts_when_sts_is_away(self, clients, sts):
        sts.add_response("assume_role", session(1, lasts=4 * MINUTES))
        sts.add_client_error("assume_role", "InternalFailure", http_status_code=500)
        assert signed_with(clients.ecs(PROD)) == "token 1"

    def test_that_ends_within_the_minute_starts_no_call(self, clients, sts):
        sts.add_response("assume_role", session(1, lasts=0.5 * MINUTES))
        sts.add_client_error("assume_role", "InternalFailure", http_status_code=500)
        with pytest.raises(OutsideError, match="could not assume the role"):
            clients.ecs(PROD)

    def test_is_never_renewed_in_the_middle_of_a_call(self, clients, sts):
        sts.add_response("assume_role", session(1, lasts=6 * MINUTES))
        client = clients.ecs(PROD)
        clients._role(PROD)[0]._held._expiry_time = datetime.now(UTC)
        assert signed_with(client) == "token 1"

    def test_has_a_name_that_sts_takes_however_long_the_environments_is(self):
        assert len(account_of("e" * 63, "eu-west-1", ROLE).session_name) == 64


class TestAProgram:
    """What calls AWS by itself, such as Terraform."""

    def test_gets_the_roles_session_and_region_in_its_environment(self, clients, sts, monkeypatch):
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
        sts.add_response("assume_role", session(1), ASKED)
        given = clients.environment(PROD)
        assert {name: value for name, value in given.items() if name.startswith("AWS_")} == {
            "AWS_ACCESS_KEY_ID": "ASIAXXXXXXXXXXXXXXX1",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token 1",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        assert given["PATH"] == os.environ["PATH"]

    def test_gets_nothing_of_ours_that_leads_to_another_identity(self, clients, sts, monkeypatch):
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")
        monkeypatch.setenv("AWS_ROLE_ARN", ARN)
        sts.add_response("assume_role", session(1))
        given = clients.environment(PROD)
        assert not {"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ROLE_ARN"} & {
            *given
        }

    def test_sends_its_calls_where_ours_go(self, clients, sts, monkeypatch):
        where = {
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:8",
            "AWS_CA_BUNDLE": "/ca.pem",
            "AWS_USE_FIPS_ENDPOINT": "true",
        }
        for name, value in where.items():
            monkeypatch.setenv(name, value)
        sts.add_response("assume_role", session(1))
        assert where.items() <= clients.environment(PROD).items()

    @pytest.mark.usefixtures("sts")  # has no answer to give: asking it would fail
    def test_has_our_own_environment_where_the_catalog_names_no_role(self, clients, monkeypatch):
        monkeypatch.setenv("AWS_PROFILE", "team")
        assert clients.environment(account_of("prod", "eu-west-1", None)) == dict(os.environ)

    def test_starts_with_a_whole_session_which_everybody_then_shares(self, clients, sts):
        sts.add_response("assume_role", session(1, lasts=10 * MINUTES))
        sts.add_response("assume_role", session(2))
        client = clients.ecs(PROD)
        assert clients.environment(PROD)["AWS_SESSION_TOKEN"] == "token 2"
        assert clients.environment(PROD)["AWS_SESSION_TOKEN"] == "token 2"
        assert signed_with(client) == "token 2"

    def test_is_not_started_with_what_is_left_of_a_session_when_sts_is_away(self, clients, sts):
        sts.add_response("assume_role", session(1, lasts=10 * MINUTES))
        sts.add_client_error("assume_role", "InternalFailure", http_status_code=500)
        client = clients.ecs(PROD)
        with pytest.raises(UnreachableError) as raised:
            clients.environment(PROD)
        assert raised.value.may_have_landed is False
        assert signed_with(client) == "token 1"


class TestQuota:
    def test_is_shared_by_the_roles_of_one_account_and_region(self):
        other = AssumeRole(role_arn=ARN.replace("incident-runbooks", "other"))
        assert account_of("eu", "eu-west-1", other).quota == PROD.quota

    def test_is_anothers_in_another_account_or_region(self):
        elsewhere = AssumeRole(role_arn=ARN.replace("111122223333", "444455556666"))
        assert account_of("prod", "eu-west-1", elsewhere).quota != PROD.quota
        assert account_of("prod", "us-east-1", ROLE).quota != PROD.quota

    def test_is_the_workers_own_without_a_role(self):
        assert account_of("prod", "eu-west-1", None) == account_of("staging", "eu-west-1", None)
