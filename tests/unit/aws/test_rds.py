"""An RDS instance is rebooted at most once; what cannot be determined is a person's."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer
from temporalio.testing import ActivityEnvironment

from activities.aws.clients import AwsClients
from activities.rds.activities import AwaitedInstance, RdsActivities, Reboot
from runbook_model.catalog.accounts import Account
from runbook_model.catalog.service_policies import Database
from runbook_model.errors import DriftedError, InputError, NotFoundError, UnknownReplyError, UnreachableError
from runbook_model.measured.database import Instance
from tests.observing import a_target
from tests.unit.runtime.test_fence import Attempt, long_ago

TARGET = a_target(database=Database(dsn_env="SHOP_DSN", rds_instance="shop-db"))
WAS = Instance(name="shop-db", status="available")
REBOOT = Reboot(target=TARGET, was=WAS)
THEN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def outside(monkeypatch):
    """RDS that gives the answers of the test, in order."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    clients = AwsClients()
    with Stubber(clients.rds(Account(region="us-east-1"))) as stub:
        yield Outside(clients, stub)
        stub.assert_no_pending_responses()


class Outside:
    def __init__(self, clients: AwsClients, stub: Stubber) -> None:
        self.rds, self.stub = RdsActivities(clients), stub

    def is_seen(self, status="available", *events: tuple[str, datetime]) -> None:
        instance = {"DBInstanceIdentifier": "shop-db", "DBInstanceStatus": status, "Engine": "postgres"}
        text = [{"Message": message, "Date": at} for message, at in events]
        self.stub.add_response("describe_db_instances", {"DBInstances": [instance]})
        asked = {"SourceIdentifier": "shop-db", "SourceType": "db-instance", "Duration": 60}
        self.stub.add_response("describe_events", {"Events": text}, asked)

    def reboots(self) -> None:
        self.stub.add_response("reboot_db_instance", {}, {"DBInstanceIdentifier": "shop-db"})


def test_an_instance_that_is_as_planned_is_rebooted(outside):
    outside.is_seen()
    outside.reboots()
    assert not Attempt()(outside.rds.reboot_instance, REBOOT).adopted


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("rebooting", ()),
        ("available", (("DB instance restarted", THEN),)),
        ("rebooting", (("DB instance shutdown", THEN),)),
    ],
)
def test_after_a_lost_reply_a_reboot_that_is_seen_is_taken_for_ours(outside, status, events):
    outside.is_seen(status, *events)
    rebooted = Attempt(2, long_ago())(outside.rds.reboot_instance, REBOOT)
    assert rebooted.adopted
    assert rebooted.summary == "shop-db reboots since an earlier attempt"


@pytest.mark.parametrize("events", [(), (("Backing up DB instance", THEN),)])
def test_after_a_lost_reply_without_a_sign_of_it_nothing_is_sent_again(outside, events):
    outside.is_seen("available", *events)
    with pytest.raises(UnknownReplyError, match="it is not sent again") as raised:
        Attempt(2, long_ago())(outside.rds.reboot_instance, REBOOT)
    assert not raised.value.certainly_not_made


def test_a_restart_that_the_plan_knew_of_is_no_sign_of_ours(outside):
    outside.is_seen("available", ("DB instance restarted", THEN))
    was = WAS.model_copy(update={"restarted": THEN})
    with pytest.raises(UnknownReplyError):
        Attempt(2, long_ago())(outside.rds.reboot_instance, Reboot(target=TARGET, was=was))


@pytest.mark.parametrize(
    ("status", "events"),
    [("rebooting", ()), ("modifying", ()), ("available", (("DB instance restarted", THEN + timedelta(1)),))],
)
def test_an_instance_that_changed_meanwhile_is_left_alone(outside, status, events):
    outside.is_seen(status, *events)
    with pytest.raises(DriftedError, match="was available when the plan was made") as raised:
        Attempt()(outside.rds.reboot_instance, REBOOT)
    assert raised.value.certainly_not_made


def test_a_refused_reboot_was_certainly_not_made(outside):
    outside.is_seen()
    outside.stub.add_client_error("reboot_db_instance", "Throttling", http_status_code=400)
    attempt = Attempt()
    with pytest.raises(Exception, match="reboot shop-db") as raised:
        attempt(outside.rds.reboot_instance, REBOOT)
    assert raised.value.certainly_not_made
    outside.is_seen()
    outside.reboots()
    Attempt(2, *attempt.said[-1:])(outside.rds.reboot_instance, REBOOT)


def test_a_broken_answer_may_have_rebooted_it(outside):
    outside.is_seen()
    outside.stub.add_client_error("reboot_db_instance", "InternalFailure", http_status_code=500)
    with pytest.raises(UnreachableError) as raised:
        Attempt()(outside.rds.reboot_instance, REBOOT)
    assert not raised.value.certainly_not_made


def test_without_an_instance_in_the_catalog_the_fix_is_reported(outside):
    with pytest.raises(InputError, match=r"add database\.rds_instance"):
        Attempt()(outside.rds.read_instance, a_target(database=Database(dsn_env="SHOP_DSN")))


@pytest.fixture(scope="module")
def endpoint():
    """A server that speaks RDS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestAgainstMoto:
    """The same calls against a server that speaks RDS."""

    @pytest.fixture
    def rds(self, endpoint, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        made = boto3.client("rds", region_name="us-east-1")
        if not made.describe_db_instances()["DBInstances"]:
            made.create_db_instance(
                DBInstanceIdentifier="shop-db", Engine="postgres", DBInstanceClass="db.t3.micro",
                AllocatedStorage=20, MasterUsername="shop", MasterUserPassword="not-a-secret",
            )  # fmt: skip
        return RdsActivities(AwsClients(), every=timedelta(0))

    async def test_an_instance_is_read_rebooted_and_waited_for(self, rds):
        was = Attempt()(rds.read_instance, TARGET)
        assert (was.status, was.engine) == ("available", "postgres")
        assert Attempt()(rds.reboot_instance, Reboot(target=TARGET, was=was)).name == "shop-db"
        awaited = AwaitedInstance(target=TARGET, deadline=datetime.now(UTC) + timedelta(seconds=20))
        assert (await ActivityEnvironment().run(rds.await_instance, awaited)).status == "available"

    def test_an_instance_that_is_not_there_is_reported(self, rds):
        missing = a_target(database=Database(dsn_env="SHOP_DSN", rds_instance="nothing"))
        with pytest.raises(NotFoundError, match="describe the RDS instance nothing"):
            Attempt()(rds.read_instance, missing)
