"""``runbook doctor`` for real: all in place, then one thing broken after another, each reported in its own line."""

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from activities.doctor.queries import queries_of
from activities.runtime.converter import data_converter
from activities.runtime.processes import kill_child
from runbook_model.catalog.catalog import load_catalog
from runbook_model.checks import WORKER
from runbook_model.names.ids import SEARCH_ATTRIBUTES
from sandbox.machine.http_server import serving
from sandbox.machine.processes import free_port
from sandbox.monitoring.slack import Slack
from starter.doctor.server_checks import ENCRYPTION
from starter.doctor.version_checks import VERSIONS
from starter.exits import Exit
from tests.integration.cli.command_line import CommandLine
from tests.integration.rollback.rollback_stage import Stage
from tests.programs import Program
from tests.sandbox_under_test import running_sandbox, until

pytestmark = pytest.mark.xdist_group("doctor")
SEEN_BY_WORKER = [row.name for row in WORKER]
NAMESPACE = "doctor"
"""Of this module's own: its worker meets nobody else's queues, and search attributes are missing at first."""
START = "start a worker: runbook worker --environment"
TABLES = """
[environments.{name}]
cluster = "{cluster}"
{environment}

[services.{service}.{name}]
ecs_service = "{ecs_service}"
{more}
"""


@dataclass(frozen=True)
class Broken:
    """An environment of a service that is well, but for one thing."""

    check: str
    fix: str
    """A part of what must be said."""
    more: str = ""
    environment: str = ""
    cluster: str = "ai-processor-staging"
    ecs_service: str = "ai-processor-service-staging"

    def tables(self, name):
        return TABLES.format(name=name, service="ai-processor", **vars(self))


def broken_environments(folder, url, nobody):
    modules = {name: folder / name for name in ("raw", "wrong", "nowhere")}
    terraform = {name: f'terraform = {{ directory = "{path}" }}' for name, path in modules.items()}
    return {
        "no-prometheus": Broken(
            "prometheus", "prometheus_url in [", environment=f'prometheus_url = "{nobody}"'
        ),
        "no-cluster": Broken(
            "cluster", "correct cluster or region in [environments.no-cl", cluster="nowhere"
        ),
        "no-service": Broken("service", "correct cluster or ecs_service", ecs_service="nowhere"),
        "no-logs": Broken("log-group", "correct log_group in [services", 'log_group = "/ecs/nowhere"'),
        "no-address": Broken("health", "correct url or health_path in [services", f'url = "{nobody}"'),
        "wrong-address": Broken(
            "health", "correct url or health_path in [services", f'url = "{url}/elsewhere"'
        ),
        "wrong-dsn": Broken("database", "start the database", 'database = { dsn_env = "WRONG_DSN" }'),
        "no-dsn": Broken("database", "set it to the DSN", 'database = { dsn_env = "NO_SUCH_DSN" }'),
        "no-module": Broken("terraform", "correct terraform.directory", terraform["nowhere"]),
        "raw-module": Broken("terraform", f"-chdir={modules['raw']} init", terraform["raw"]),
        "wrong-module": Broken("terraform", f"-chdir={modules['wrong']} validate", terraform["wrong"]),
        "no-engine": Broken("docker-engine", "set DOCKER_HOST", environment='platform = "compose"'),
        "no-secret": Broken("chat", "set NO_SUCH_TOKEN"),
        "wrong-token": Broken("chat", "renew what its variable holds"),
        "no-channel": Broken("chat", "invite the app to #elsewhere"),
        "no-chat-host": Broken("chat", "let the worker reach its host, or correct what NOBODYS_HOOK holds"),
    }


CHANNELS = """
[[channels]]
name = "sandbox"
kind = "log"

[[channels]]
name = "ops"
kind = "slack-webhook"
secret_env = "NO_SUCH_TOKEN"
environments = ["no-secret"]

[[channels]]
name = "thread"
kind = "slack"
secret_env = "CLINIC_TOKEN"
channel = "#clinic"
environments = ["staging"]

[[channels]]
name = "unknown-app"
kind = "slack"
secret_env = "WRONG_TOKEN"
channel = "#clinic"
environments = ["wrong-token"]

[[channels]]
name = "lost"
kind = "slack"
secret_env = "CLINIC_TOKEN"
channel = "#elsewhere"
environments = ["no-channel"]

[[channels]]
name = "away"
kind = "webhook"
secret_env = "NOBODYS_HOOK"
environments = ["no-chat-host"]
"""


def channels_of(environment):
    """Return the channels that an environment has: those that name no environment, or this one."""
    tables = CHANNELS.split("[[channels]]")[1:]
    own = (table for table in tables if "environments" not in table or f'"{environment}"' in table)
    return "".join(f"[[channels]]{table}" for table in own)


class Clinic:
    """A catalog with what is well and what is not, a worker in a namespace of its own, and the command line."""

    def __init__(self, world, folder, nobody, shop, slack):
        self.folder = folder
        self.broken = broken_environments(folder, world.addresses.service["staging"], nobody)
        self.catalog = folder / "catalog.toml"
        self.settings = world.addresses.env | {
            "RUNBOOK_CATALOG": str(self.catalog),
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "WRONG_DSN": f"postgresql://runbook:secret@{nobody.removeprefix('http://')}/ai_processor",
            "DOCKER_HOST": nobody.replace("http", "tcp"),
            "RUNBOOK_SLACK_API": slack,
            "CLINIC_TOKEN": "xoxb-clinic",
            "WRONG_TOKEN": "nonsense",
            "NOBODYS_HOOK": f"{nobody}/services/correct-horse",
        }
        self.world = world
        self.shop = shop
        self.worker = None
        self._write()

    def _write(self):
        for name, text in {
            "well": 'resource "terraform_data" "x" { input = 1 }',
            "wrong": 'resource "terraform_data" "x" { no_such_argument = 1 }',
            "raw": 'module "part" { source = "./part" }',
        }.items():
            (self.folder / name).mkdir()
            (self.folder / name / "main.tf").write_text(text)
        heading = "[services.ai-processor.staging]\n"
        module = f'terraform = {{ directory = "{self.folder}/well" }}\n'
        text = Path(self.world.addresses.catalog).read_text().replace(heading, heading + module)
        shop = TABLES.format(
            name=self.shop.environment,
            service=self.shop.name,
            cluster=self.shop.cluster,
            ecs_service=self.shop.ecs_service,
            environment="",
            more='rollback = { soak = "0s" }',
        )
        self.catalog.write_text(text + shop + channels_of("staging"))

    @contextmanager
    def ward(self, name):
        """One that is broken, in a catalog and with a worker of its own: two names for one service are refused."""
        catalog = self.folder / f"{name}.toml"
        catalog.write_text(self.broken[name].tables(name) + channels_of(name))
        settings = {"RUNBOOK_CATALOG": str(catalog)}
        worker = self._worker(f"{name}.log", settings)
        try:
            yield partial(self.doctor, "--environment", name, **settings)
        finally:
            kill_child(worker)

    def start_worker(self):
        self.worker = self._worker("worker.log", {})

    def _worker(self, name, settings):
        environment = self.world.environment | self.settings | settings
        with (self.folder / name).open("wb") as log:
            worker = Program("worker", environment=environment, log=log)
        until(lambda: b"worker ready" in (self.folder / name).read_bytes())
        return worker

    def kill_worker(self):
        if self.worker:
            kill_child(self.worker)

    def use_up(self, permission):
        """Meet a denial that doctor only asked about; there is no call for iam:PassRole, so that one stays."""
        target = f"AmazonEC2ContainerServiceV20141113.{permission.partition(':')[2]}"
        self.world.http.post(self.world.addresses.aws, json={}, headers={"X-Amz-Target": target})

    def is_known_to_aws(self):
        """Ask as the worker does: a denial that nobody met would be met by the next test."""
        keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
        sts = boto3.client("sts", endpoint_url=self.world.addresses.aws, region_name="us-east-1", **keys)
        with suppress(ClientError):
            return sts.get_caller_identity()

    async def doctor(self, *words, **settings):
        cli = CommandLine(self.world.addresses.temporal, "staging")
        said = await cli("doctor", "--json", *words, **self.settings | settings)
        assert said.out, said.err
        return NewLines(said.code, said.json["checks"])


@dataclass(frozen=True)
class NewLines:
    code: int
    checks: list

    def of(self, name, environment=None):
        (found,) = (
            check for check in self.checks if (check["name"], check["environment"]) == (name, environment)
        )
        return found

    def red(self, environment=None):
        """Names of what is not ok; of all places, or of one."""
        wanted = (check for check in self.checks if environment in {None, check["environment"]})
        return [item["name"] for item in wanted if item["ok"] is False]


@pytest.fixture(scope="module")
def world():
    """A sandbox of its own: in a shared one others leave bad releases behind."""
    with running_sandbox("--no-load") as sandbox, sandbox.under_load("staging", "prod"):
        yield sandbox


@pytest.fixture(scope="module")
async def clinic(world, tmp_path_factory):
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=NAMESPACE,
            workflow_execution_retention_period=Duration(seconds=round(timedelta(days=90).total_seconds())),
        )
    )
    stage = Stage(world, tmp_path_factory.mktemp("stage"), client)
    slack, port = Slack("clinic"), free_port()
    async with serving(slack.application, port):
        with socket.socket() as nobody:  # bound, but it does not listen
            nobody.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
            shop = stage.open_shop("clinic", "1.0.0", "1.1.0", url=False)
            folder = tmp_path_factory.mktemp("clinic")
            clinic = Clinic(world, folder, address, shop, f"http://127.0.0.1:{port}/api/")
            yield clinic
            clinic.kill_worker()
    stage.close_shops()
    assert slack.messages == [], "doctor notified somebody"


@pytest.fixture(scope="module")
async def staffed(clinic):
    """The clinic with search attributes and its worker; tests before the first that wants it have neither."""
    await clinic.doctor("--environment", "staging", "--fix")
    clinic.start_worker()
    return clinic


@pytest.mark.rare
async def test_without_temporal_the_rest_is_reported_and_the_exit_code_is_4(clinic):
    wording = await clinic.doctor("--environment", "staging", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert wording.code == Exit.TEMPORAL_UNREACHABLE
    assert wording.red() == ["temporal"]
    assert wording.of("temporal")["fix"] == "start it or set TEMPORAL_ADDRESS"
    assert wording.of("catalog")["ok"] is True


async def test_a_namespace_that_is_not_there_is_the_only_red_line(clinic):
    wording = await clinic.doctor("--environment", "staging", TEMPORAL_NAMESPACE="nowhere")
    assert (wording.code, wording.red()) == (Exit.NOT_DONE, ["namespace"])
    assert "temporal operator namespace create --namespace nowhere" in wording.of("namespace")["fix"]


async def test_missing_search_attributes_are_named_and_fix_registers_them(clinic):
    wording = (await clinic.doctor("--environment", "staging")).of("search-attributes")
    assert wording["ok"] is False
    assert all(key.name in wording["detail"] for key in SEARCH_ATTRIBUTES)
    assert wording["fix"].startswith("runbook doctor --fix")

    assert (await clinic.doctor("--environment", "staging", "--fix")).of("search-attributes")["ok"] is True
    again = (await clinic.doctor("--environment", "staging")).of("search-attributes")
    assert again["detail"] == f"all {len(SEARCH_ATTRIBUTES)} are registered"


async def look_again(look, is_so):
    """Look three times at most: a machine that others use too answers some questions later than doctor waits."""
    for _ in range(3):
        wording = await look()
        if is_so(wording):
            break
    return wording


async def test_without_a_worker_what_it_would_see_is_red_with_the_command_that_starts_one(clinic):
    wording = await clinic.doctor("--environment", "staging")
    assert wording.code == Exit.NOT_DONE
    assert wording.red() == ["worker", *SEEN_BY_WORKER]
    assert {check["fix"] for check in wording.checks if check["ok"] is False} == {f"{START} staging"}


async def test_where_all_is_in_place_nothing_is_red_and_every_query_has_been_asked(staffed):
    until(lambda: staffed.world.query('http_requests_total{environment="staging"}'))
    wording = await staffed.doctor("--environment", "staging")
    assert (wording.code, wording.red()) == (Exit.DONE, [])
    target = load_catalog(staffed.catalog).target("ai-processor", "staging")
    shown = [check["name"] for check in wording.checks if check["environment"] == "staging"]
    queries = [f"prometheus-{name}" for name in queries_of(target)]
    assert shown == ["worker", VERSIONS, ENCRYPTION, *SEEN_BY_WORKER, *queries]
    for name in (
        "aws-identity",
        "cluster",
        "service",
        "log-group",
        "health",
        "metrics",
        "database",
        "terraform",
    ):
        assert wording.of(name, "staging")["ok"] is True, name
    assert wording.of("prometheus-error-share", "staging")["ok"] is True
    read_brake_report = "channel thread: Slack knows the app as runbook, in #clinic"
    assert (
        wording.of("chat", "staging")["detail"] == f"channel sandbox: the worker's log; {read_brake_report}"
    )
    assert all(
        set(check) >= {"environment", "name", "ok", "detail", "fix", "mend"} for check in wording.checks
    )


@pytest.mark.rare
async def test_each_thing_that_is_broken_is_one_red_line_with_its_fix(staffed):
    found = {}
    for name, item in staffed.broken.items():
        with staffed.ward(name) as doctor:
            wording = await look_again(
                doctor, lambda wording, name=name, each=item: wording.red(name) == [each.check]
            )
        found[name] = wording
        assert (wording.code, wording.red(name)) == (Exit.NOT_DONE, [item.check]), name
        assert item.fix in wording.of(item.check, name)["fix"], name
    assert "secret" not in found["wrong-dsn"].of("database", "wrong-dsn")["detail"]
    wording = found["wrong-token"].of("chat", "wrong-token")
    assert wording["detail"] == "channel unknown-app: Slack answers 200 invalid_auth"
    assert not any("correct-horse" in str(check) for wording in found.values() for check in wording.checks)


ASKED_MORE_THAN_ONCE = {"sts:GetCallerIdentity": 3, "application-autoscaling:DescribeScalableTargets": 2}
"""Other checks need these too, and are unknown without them."""


@pytest.mark.parametrize(
    "denied",
    [
        {"aws-identity": "sts:GetCallerIdentity"},
        {"cluster": "ecs:DescribeClusters"},
        {
            "deployments": "ecs:ListServiceDeployments",
            "tasks": "ecs:ListTasks",
            "task-definitions": "ecs:ListTaskDefinitions",
            "autoscaling": "application-autoscaling:DescribeScalableTargets",
            "log-group": "logs:FilterLogEvents",
            "cloudwatch": "cloudwatch:GetMetricStatistics",
        },
    ],
    ids=lambda denied: next(iter(denied)),
)
async def test_permissions_that_are_missing_are_named(staffed, denied):
    async def without_them():
        for permission in denied.values():
            times = ASKED_MORE_THAN_ONCE.get(permission, 1)
            staffed.world.fault(permission.partition(":")[2], times=times, error="AccessDeniedException")
        return await staffed.doctor("--environment", "prod")

    wording = await look_again(without_them, lambda wording: wording.red() == list(denied))
    assert wording.red() == list(denied)
    for check, permission in denied.items():
        assert wording.of(check, "prod")["fix"] == f"allow {permission} for the worker's role"
    until(staffed.is_known_to_aws)


async def test_it_says_which_release_a_rollback_would_put_back_and_when_there_is_none(staffed):
    shop = staffed.shop
    words = ("--environment", shop.environment, "--service", shop.name)
    good = (await staffed.doctor(*words)).of("last-known-good", shop.environment)
    assert (good["ok"], good["detail"].partition(":")[0]) == (True, shop.name)
    assert f"{shop.family}:1 (1.0.0)" in good["detail"]

    shop.mark(f"{shop.family}:1", "bad")
    wording = await staffed.doctor(*words)
    assert wording.red() == ["last-known-good"]
    assert f"runbook release mark {shop.short}" in wording.of("last-known-good", shop.environment)["fix"]

    shop.update(desiredCount=0)
    until(lambda: shop.service()["desiredCount"] == 0)
    assert (await staffed.doctor(*words)).red() == ["service", "last-known-good"]


async def test_it_changes_nothing(staffed):
    before = len(staffed.world.calls())
    await staffed.doctor("--environment", "staging")
    made = {call["action"] for call in staffed.world.calls(since=before)}
    assert len(made) > 8
    reads = ("Describe", "List", "Get", "Filter", "Simulate")
    assert [action for action in made if not action.startswith(reads)] == []


async def test_without_the_simulator_it_is_unknown_what_may_be_changed(staffed):
    staffed.world.fault("SimulatePrincipalPolicy", error="AccessDenied")
    wording = await staffed.doctor("--environment", "prod")
    permissions = wording.of("permissions", "prod")
    assert (permissions["ok"], permissions["fix"]) == (None, None)
    assert "allow iam:SimulatePrincipalPolicy for the worker's role" in permissions["detail"]


@pytest.mark.rare
async def test_a_change_that_would_be_denied_is_one_red_line_that_names_it(staffed):
    here = "arn:aws:ecs:us-east-1:123456789012"
    service = f"{here}:service/ai-processor-prod/ai-processor-service-prod"
    for action, resource in {
        "ecs:UpdateService": service,
        "ecs:StopServiceDeployment": service,
        "ecs:RegisterTaskDefinition": f"{here}:task-definition/ai-processor-prod:1",
        "ecs:TagResource": f"{here}:task-definition/ai-processor-prod:1",
        "iam:PassRole": "arn:aws:iam::123456789012:role/ai-processor-prod-execution",
    }.items():
        staffed.world.fault(action, error="AccessDeniedException")
        wording = await look_again(
            lambda: staffed.doctor("--environment", "prod"), lambda wording: wording.red() == ["permissions"]
        )
        assert wording.red() == ["permissions"]
        assert f" may not {action} on {resource}" in wording.of("permissions", "prod")["detail"]
        assert wording.of("permissions", "prod")["fix"] == (
            "allow it what deploy/iam-policy-environment.json lists, and for reviews deploy/iam-policy-worker.json"
        )
        staffed.use_up(action)


async def test_a_worker_that_was_killed_is_reported_although_temporal_still_counts_it(staffed):
    staffed.kill_worker()
    wording = await staffed.doctor("--environment", "staging")
    assert wording.red()[0] == "worker"
    assert wording.of("worker", "staging")["fix"] == f"{START} staging"
    assert wording.of("cluster", "staging")["fix"] == f"{START} staging"
