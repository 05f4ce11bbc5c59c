"""Rollbacks for real: services of a test's own on the simulated ECS, a worker process, and the command line."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from itertools import count

import boto3
from temporalio.service import RPCError, RPCStatusCode

from runbook_model.messages import Approval, RollbackRequest
from runbook_model.names.ids import remediation_id
from runbook_model.reports import Report, State
from starter.client.starting import begin
from tests.checker import wrong_of
from tests.integration.cli.command_line import CommandLine
from tests.patience import PATIENCE
from tests.procedures.stage.signed_desk import Desk
from tests.programs import Program
from tests.sandbox_under_test import EVERYDAY_REQUESTS, until

CHANGES = {"UpdateService", "StopServiceDeployment", "RegisterTaskDefinition", "TagResource"}
CATALOG = """
[environments.staging]
cluster = "ai-processor-staging"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = 0 }}

[environments.prod]
cluster = "ai-processor-prod"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = 1, requester_may = false }}

[environments.open]
cluster = "open"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = 0 }}

[environments.gated]
cluster = "gated"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = 1, requester_may = false }}

[environments.signed]
cluster = "signed"
prometheus_url = "{prometheus}"
release_label = "release"
approvals = {{ needed = 1, people = ["bob", "carol", "dave"], requester_may = true, signed = true }}
evidence = ["prometheus", "scrape", "probe"]

[environments.plain]
cluster = "plain"
approvals = {{ needed = 0 }}

[environments.tight]
cluster = "tight"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = 0 }}

[services.ai-processor.staging]
ecs_service = "ai-processor-service-staging"
url = "{staging}"
{terms}
[services.ai-processor.prod]
ecs_service = "ai-processor-service-prod"
url = "{prod}"
{terms}
[[alerts]]
name = "BadRelease"
severity = "critical"
respond_within = "0s"
procedure = "rollback"
"""
TERMS = """\
thresholds = { min_requests = 20 }
verify = { bake = "3s", rate_window = "4s", consecutive = 3 }
rollback = { soak = "0s" }
"""
SHOP = """
[services.{name}.{environment}]
ecs_service = "{name}"
{url}
thresholds = {{ min_requests = 4 }}
verify = {{ bake = "2s", rate_window = "4s", consecutive = 3, lag = "5s" }}
rollback = {{ soak = "0s", steady = "{steady}" }}
probe = {{ path = "/api/v1/process", body = '{{"test": "data"}}' }}
"""
"""No client sends requests to these services: probes say how they are."""
_numbers = count(1)


class Stage:
    """A sandbox, a catalog that tests add services to, and one worker process that serves it."""

    def __init__(self, world, folder, client):
        self.world = world
        self.keys = {}
        """What encrypts histories: nothing, unless a test says what."""
        self.client = client
        self.catalog = folder / "catalog.toml"
        self._log = folder / "worker.log"
        self.worker = None
        self._shops = []
        self._busy = set()
        self._ready = {}
        self._preparing = ThreadPoolExecutor(1)
        where = world.addresses
        self.desk = Desk(folder)
        """People with keys, who sign where that is asked for."""
        self.catalog.write_text(
            CATALOG.format(prometheus=where.prometheus, terms=TERMS, **where.service), encoding="utf-8"
        )

    @cached_property
    def ecs(self):
        """ECS as others than the product use it: these calls are not in the call log and meet no faults."""
        return boto3.client(
            "ecs", endpoint_url=self.world.addresses.aws, region_name="us-east-1",
            aws_access_key_id="sandbox", aws_secret_access_key="sandbox",
            config=boto3.session.Config(user_agent_extra="sandbox-internal"),
        )  # fmt: skip

    @property
    def environment(self):
        """What programs of the product are started with."""
        files = {"RUNBOOK_CATALOG": str(self.catalog), "RUNBOOK_SIGNERS": str(self.desk.file)}
        return self.world.environment | files | self.keys

    def start_worker(self):
        """Start the worker, and wait until it says that it is ready."""
        with self._log.open("ab") as log:
            said = log.tell()
            self.worker = Program("worker", environment=self.environment, log=log)
        until(lambda: b"worker ready" in self._log.read_bytes()[said:])

    def kill_worker(self):
        """SIGKILL: it has no time for last words."""
        self.worker.kill()
        self.worker.wait()

    def a_shop(self, environment="open"):
        """A service that has run 1.0.0 and now runs 1.1.0; the next one is made ready meanwhile."""
        ready = self._ready.get(environment) or self._prepare(environment)
        self._ready[environment] = self._prepare(environment)
        shop = ready.result()
        self._shops.append(shop)
        return shop

    def keep(self, shop):
        """Leave a service open when a test is over: its module's tests share it, and delete it."""
        self._shops.remove(shop)

    def open_shop(self, environment, *releases, **how):
        """Create a service that has run these releases one after the other; see ``_open``."""
        shop = self._open(environment, *releases, **how)
        self._shops.append(shop)
        return shop

    async def wrong(self):
        """What the checker finds in the services of a test."""
        return [fault for shop in self._shops for fault in await shop.wrong()]

    def close_shops(self):
        """Delete the services of a test that is over, and send the sandbox's own no more requests."""
        while self._busy:
            self.world.load(self._busy.pop(), 0)
        while self._shops:
            self._shops.pop().delete()

    def end(self):
        """End the worker, and what is still being made ready."""
        self._preparing.shutdown(cancel_futures=True)
        self.kill_worker()

    def _prepare(self, environment):
        return self._preparing.submit(self._open, environment, "1.0.0", "1.1.0")

    def _open(self, environment, first, *later, url=True, steady="60s", **config):
        """Create a service on its first release, in a catalog entry of its own, and deploy the later ones."""
        shop = Shop(self, f"shop-{next(_numbers):03}", environment)
        self.ecs.create_cluster(clusterName=environment)
        shop.create(first, **config)
        address = f'url = "{shop.url}"' if url else ""
        with self.catalog.open("a", encoding="utf-8") as catalog:
            catalog.write(SHOP.format(name=shop.name, environment=environment, url=address, steady=steady))
        for release in later:
            shop.deploy(release)
            shop.until_ended()
        return shop

    def the_processor(self, environment):
        """The sandbox's own service, which has clients until the test is over."""
        self._busy.add(environment)
        self.world.load(environment, EVERYDAY_REQUESTS)
        return Shop(
            self,
            "ai-processor",
            environment,
            f"ai-processor-{environment}",
            f"ai-processor-service-{environment}",
        )


class Shop:
    """One service on ECS, as its owners deploy it and as the runbook puts it back."""

    def __init__(self, stage, name, environment, cluster=None, ecs_service=None):
        self.stage = stage
        self.ecs = stage.ecs
        self.name = name
        self.environment = environment
        self.cluster = cluster or environment
        self.ecs_service = ecs_service or name
        self.family = name if ecs_service is None else cluster
        self.short = f"{environment}/{name}"
        self.id = remediation_id(environment, name)
        self.cli = Cli(stage, self)
        self._calls_before = len(stage.world.calls())

    # --- its owners ---------------------------------------------------------------------------------------------

    def register(self, version, **faults):
        """Register a release; ``FAULT_UNHEALTHY=1`` and so on break it. Returns its ARN."""
        environment = {"ENVIRONMENT": self.environment} | faults
        container = {
            "name": "app",
            "image": f"ai-processor:{version}",
            "portMappings": [{"name": "http", "containerPort": 8080}],
            "environment": [{"name": key, "value": str(value)} for key, value in environment.items()],
        }
        registered = self.ecs.register_task_definition(
            family=self.family, cpu="256", memory="512", containerDefinitions=[container]
        )
        return registered["taskDefinition"]["taskDefinitionArn"]

    def create(self, version, *, desired=1, breaker=False, wait=True, **config):
        """Create the service on its first release, if it has one."""
        breaker = {"enable": breaker, "rollback": breaker}
        settings = {
            "taskDefinition": self.register(version) if version else None,
            "desiredCount": desired,
            "deploymentConfiguration": {"deploymentCircuitBreaker": breaker},
        } | config
        self.ecs.create_service(
            cluster=self.cluster,
            serviceName=self.ecs_service,
            **{key: value for key, value in settings.items() if value is not None},
        )
        if wait:
            self.until_ended()

    def deploy(self, version, **faults):
        """Send a release on its way; returns its revision."""
        arn = self.register(version, **faults)
        self.update(taskDefinition=arn)
        return arn.rpartition("/")[2]

    def update(self, **what):
        """Update the service as somebody else than the product."""
        self.ecs.update_service(cluster=self.cluster, service=self.ecs_service, **what)

    def delete(self):
        """Delete the service, unless it is gone."""
        if self.ecs_service == self.name and self.service()["status"] == "ACTIVE":
            self.ecs.delete_service(cluster=self.cluster, service=self.ecs_service, force=True)

    def until_ended(self):
        """Wait until the newest service deployment has ended; returns its status."""

        def status():
            newest = self.service_deployments()[0]["status"]
            return newest if newest.endswith(("SUCCESSFUL", "FAILED", "STOPPED")) else None

        return until(status)

    def mark(self, revision, judgement):
        """Write a mark as an earlier run did."""
        arn = self.ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"][
            "taskDefinitionArn"
        ]
        key = {"good": "runbook:verified", "bad": "runbook:bad"}[judgement]
        at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        value = f"{self.digest(revision)} {at} remediation/{self.short}"
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": f"{key}:{self.short}", "value": value}])

    # --- what can be seen of it -----------------------------------------------------------------------------------

    def service(self):
        return self.ecs.describe_services(cluster=self.cluster, services=[self.ecs_service])["services"][0]

    def runs(self):
        """The revision that the service is on, or on its way to."""
        return self.service()["taskDefinition"].rpartition("/")[2]

    def service_deployments(self):
        """Its service deployments, newest first."""
        found = self.ecs.list_service_deployments(cluster=self.cluster, service=self.ecs_service)
        arns = [deployment["serviceDeploymentArn"] for deployment in found["serviceDeployments"]]
        return self.ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]

    def images(self):
        """Tags or digests of the images that run."""
        arn = self.service()["taskDefinition"]
        definition = self.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        return [container["image"] for container in definition["containerDefinitions"]]

    def digest(self, revision):
        """The digest that a revision ran with."""
        for deployment in self.service_deployments():
            arn = deployment["targetServiceRevision"]["arn"]
            ran = self.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0]
            if ran["taskDefinition"].endswith(f"/{revision}"):
                return ran["containerImages"][0]["imageDigest"]
        raise AssertionError(f"{revision} never ran")

    def marks(self):
        """What the ledger says of each ACTIVE revision: its judgements, without their times."""
        arns = self.ecs.list_task_definitions(familyPrefix=self.family)["taskDefinitionArns"]
        return {arn.rpartition("/")[2]: said for arn in arns if (said := self.marks_of(arn))}

    def marks_of(self, arn):
        """What the ledger says of one revision."""
        said = set()
        for tag in self.ecs.list_tags_for_resource(resourceArn=arn)["tags"]:
            kind, _, target = tag["key"].removeprefix("runbook:").partition(":")
            if target == self.short:
                said.add({"verified": "good"}.get(kind, kind))
        return said

    @property
    def url(self):
        """Where it answers."""
        listed = self.stage.world.http.get(f"{self.stage.world.addresses.aws}/_sandbox/load-balancers").json()
        found = (
            item["url"]
            for item in listed
            if (item["cluster"], item["service"]) == (self.cluster, self.ecs_service)
        )
        return next(found)

    def calls(self):
        """Every call about it that the product made since the shop was opened."""
        made = self.stage.world.calls(since=self._calls_before)
        return [call for call in made if self._is_about_it(call)]

    async def wrong(self, signers=None):
        """What the checker finds in its log, by the histories of the runs that are in it."""
        calls, client = self.calls(), self.stage.client
        ids = {call["caller"]["run"] for call in calls if call["caller"]}
        runs = [client.get_workflow_handle(self.id, run_id=run) for run in ids]
        return await wrong_of(client, [run for run in runs if await exists(run)], calls, signers=signers)

    def changes(self):
        """The changes that the product made and AWS applied, marks aside."""
        return [
            call["action"]
            for call in self.calls()
            if call["action"] in CHANGES - {"TagResource"} and call["error"] is None
        ]

    def _is_about_it(self, call):
        said = json.dumps(call["parameters"])
        return any(
            f"{name}{end}" in said for name in (self.family, self.ecs_service) for end in ('"', "/", ":")
        )

    # --- the runbook ----------------------------------------------------------------------------------------------

    async def start(self, by="alice", **fields):
        """Start a rollback; returns its handle."""
        request = RollbackRequest(
            service=self.name, environment=self.environment, requested_by=by, reason="a test", **fields
        )
        run_id = await begin(self.stage.client, "rollback", request)
        return self.stage.client.get_workflow_handle(self.id, run_id=run_id, result_type=Report)

    async def roll_back(self, **fields):
        """Run a rollback to its end."""
        handle = await self.start(**fields)
        async with asyncio.timeout(PATIENCE):
            return await handle.result()

    async def asked(self, handle, unlike=None):
        """Wait until it stands at a checkpoint, with another plan than ``unlike``."""

        def stands(report):
            gate = report.checkpoint
            return report.state is State.AWAITING_APPROVAL and gate and gate.plan_hash != unlike

        return (await seen(handle, stands)).checkpoint

    async def approve(self, handle, by="bob", **how):
        """Say yes to the plan that is shown."""
        gate = await self.asked(handle)
        await handle.execute_update("decide", Approval(by=by, plan_hash=gate.plan_hash, **how))
        return gate


async def exists(run):
    """Whether there is a run of that id; those of children and of others are not of this one's."""
    try:
        await run.describe()
    except RPCError as error:
        if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
            return False
        raise
    return True


class Cli(CommandLine):
    """The command line of somebody who works on a shop."""

    def __init__(self, stage, shop):
        super().__init__(stage.world.addresses.temporal, shop.environment, stage.client)
        self.service = shop.name
        self._stage = stage

    async def begin(self, *words, user="alice", **environment):
        ours = {"RUNBOOK_CATALOG": str(self._stage.catalog)} | self._stage.keys
        return await super().begin(*words, user=user, **ours | environment)

    async def start(self, *more, user="alice"):
        target = ("--service", self.service, "--environment", self.environment)
        return await self("start", "rollback", *target, *more, user=user)


async def seen(handle, wanted, seconds=120):
    """Look at a run until its page is as wanted, and return the page; fail when it ends before."""
    report = None
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                report = await handle.query("status", result_type=Report)
                if wanted(report):
                    return report
                assert report.state is not State.DONE, f"it ended: {report.summary}"
                await asyncio.sleep(0.05)
    raise AssertionError(f"not seen within {seconds} s: {report}")


def step(words):
    """A wish for ``seen``: a step of these words is under way."""
    return lambda report: any(words in item.step and item.state == "running" for item in report.steps)
