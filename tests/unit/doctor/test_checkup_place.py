"""What doctor asks of an environment: AWS answers by botocore's Stubber, Prometheus by httpx's, Docker by a small server."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from botocore.stub import Stubber

from activities.aws.clients import AwsClients
from activities.docker.engine import Engine
from activities.doctor.checkup import PLACE
from activities.doctor.looking import look
from activities.doctor.place import Means, PlaceLook
from activities.measuring.sources import Sources
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.policies import Environment
from runbook_model.checks import Place
from tests.observing import client
from tests.small_engine import small_engine

HERE = Account(region="us-east-1")
ON_ECS = Environment(cluster="prod", prometheus_url="http://prometheus.test")
ON_COMPOSE = Environment(platform="compose")


@pytest.fixture(scope="module")
def clients():
    """The product's clients, built once; each test stubs them again."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.delenv("AWS_PROFILE", raising=False)
        yield AwsClients()


class Asking:
    """Asks the questions about an environment by name."""

    def __init__(self, clients):
        self.clients = clients
        self.where = ON_ECS
        self.served = datetime.now(UTC)
        self.prometheus = lambda _: httpx.Response(200, json=vector(1))
        self.sts, self.ecs = (Stubber(getattr(clients, name)(HERE)) for name in ("sts", "ecs"))

    def caller(self, date=None):
        date = date or datetime.now(UTC)
        headers = {"date": date.strftime("%a, %d %b %Y %H:%M:%S GMT")}
        answer = {"Arn": "arn:aws:sts::1:assumed-role/worker/x", "ResponseMetadata": {"HTTPHeaders": headers}}
        self.sts.add_response("get_caller_identity", answer)

    async def __call__(self, *names):
        place = Place(environment="prod", where=self.where)
        means = Means(Sources(self.clients, Engine(), client(self.prometheus)), None, None, None)
        given = PlaceLook(means, place, self.served)
        with self.sts, self.ecs:
            return [item for name in names for item in await look({name: PLACE[name]}, given, place)]


def vector(number):
    result = [{"metric": {}, "value": [0, str(number)]}]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


@pytest.fixture
def asking(clients):
    return Asking(clients)


class TestAws:
    async def test_says_who_the_worker_is(self, asking):
        asking.caller()
        (wording,) = await asking("aws-identity")
        assert (wording.ok, wording.detail) == (True, "arn:aws:sts::1:assumed-role/worker/x in us-east-1")

    @pytest.mark.parametrize(
        ("code", "fix"),
        [
            ("ExpiredToken", "renew the worker's AWS credentials and it continues"),
            ("SomethingElse", "give the worker AWS credentials: aws sts get-caller-identity"),
        ],
    )
    async def test_that_does_not_know_the_worker_is_red(self, asking, code, fix):
        asking.sts.add_client_error("get_caller_identity", code)
        (wording,) = await asking("aws-identity")
        assert (wording.ok, wording.fix) == (False, fix)

    async def test_is_asked_once_for_identity_and_clock(self, asking):
        asking.caller()
        identity, clock = await asking("aws-identity", "clock")
        assert (identity.ok, clock.ok) == (True, True)
        assert clock.detail == "within 5 s of Temporal's and AWS's"

    async def test_is_not_asked_for_compose(self, asking):
        asking.where = ON_COMPOSE
        wording = await asking("aws-identity", "cluster", "prometheus", "clock")
        assert [item.ok for item in wording] == [None, None, None, True]


class TestClock:
    async def test_that_differs_from_awss_is_red(self, asking):
        asking.caller(datetime.now(UTC) - timedelta(minutes=2))
        (wording,) = await asking("clock")
        assert wording.ok is False
        assert "s ahead of AWS's" in wording.detail
        assert "timedatectl" in wording.fix

    async def test_that_differs_from_temporals_is_red_also_where_aws_does_not_answer(self, asking):
        asking.sts.add_client_error("get_caller_identity", "AccessDenied")
        asking.served += timedelta(minutes=2)
        (wording,) = await asking("clock")
        assert wording.ok is False
        assert "s behind Temporal's" in wording.detail


class TestCluster:
    @pytest.mark.parametrize(
        ("clusters", "ok", "detail"),
        [
            ([{"clusterName": "prod", "status": "ACTIVE"}], True, "prod is ACTIVE"),
            ([{"clusterName": "prod", "status": "INACTIVE"}], False, "the cluster prod is INACTIVE"),
            ([], False, "there is no cluster prod in us-east-1"),
        ],
    )
    async def test_must_be_there_and_active(self, asking, clusters, ok, detail):
        asking.ecs.add_response("describe_clusters", {"clusters": clusters}, {"clusters": ["prod"]})
        (wording,) = await asking("cluster")
        assert (wording.ok, wording.detail) == (ok, detail)
        assert ok or wording.fix == "correct cluster or region in [environments.prod]"


class TestPrometheus:
    async def test_that_answers_is_in_place(self, asking):
        (wording,) = await asking("prometheus")
        assert (wording.ok, wording.detail) == (True, "http://prometheus.test answers")

    async def test_something_else_at_its_address_is_red(self, asking):
        asking.prometheus = lambda _: httpx.Response(200, text="<html>")
        (wording,) = await asking("prometheus")
        assert wording.ok is False
        assert "what answers is not a Prometheus" in wording.detail
        assert wording.fix == "correct prometheus_url in the catalog"


class TestEngine:
    async def test_is_not_asked_for_ecs(self, asking):
        assert [item.ok for item in await asking("docker-engine")] == [None]

    async def test_reports_its_version(self, monkeypatch):
        with small_engine() as address:
            monkeypatch.setenv("DOCKER_HOST", address)
            asking = Asking(AwsClients())
            asking.where = ON_COMPOSE
            (wording,) = await asking("docker-engine")
        assert (wording.ok, wording.detail) == (True, "Docker engine 27.5.1 answers")

    async def test_that_is_not_there_is_red_and_its_address_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        asking = Asking(AwsClients())
        asking.where = ON_COMPOSE
        (wording,) = await asking("docker-engine")
        assert wording.ok is False
        assert f"{tmp_path}/docker.sock" in wording.detail
        assert "DOCKER_HOST" in wording.fix
