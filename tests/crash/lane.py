"""A lane: one service on the simulated ECS with an environment and workers of its own, on which outages are replayed."""

import asyncio
import re
import time
from contextlib import asynccontextmanager, suppress
from functools import partial

from runbook_model.messages import Approval
from runbook_model.names.ids import remediation_id
from runbook_model.reports import Checkpoint, Report
from sandbox.aws_clients import ecs_client
from sandbox.demo.delivery import FINAL_STATUSES
from starter.client.deciding import decide
from starter.client.runs import describe
from starter.client.starting import begin
from tests.checker import faults, made_by_nobody, records_of
from tests.crash.outages import CRASHES, ERRORS, End
from tests.crash.workers import Workers
from tests.patience import PATIENCE

SERVICE = "shop"
WORKERS = 2
"""As deployed: one that works on the run and dies, one that continues."""
CHANGES = {"UpdateService", "StopServiceDeployment", "RegisterTaskDefinition", "DeregisterTaskDefinition"}
CATALOG = """
[environments.{name}]
cluster = "{name}"
prometheus_url = "{prometheus}"
evidence = ["prometheus", "scrape", "probe"]
release_label = "release"
approvals = {{ needed = {approvals} }}

[services.shop.{name}]
ecs_service = "shop"
url = "{url}"
thresholds = {{ min_requests = 4 }}
verify = {{ bake = "2s", rate_window = "4s", consecutive = 3 }}
rollback = {{ soak = "0s" }}
probe = {{ path = "/api/v1/process", body = '{{"test": "data"}}' }}
"""
"""Nobody sends the service requests, so probes settle how it is; what is awaited is short, so that a round is."""


class Lanes:
    """Lanes that tests share, opened when they are first asked for, and what a remediation does when nobody dies."""

    def __init__(self, sandbox, client, folder):
        self._new = partial(Lane, sandbox, client, folder)
        self._open = {}
        self._undisturbed = {}

    async def open(self, many=1, *, approvals=0, outage=ERRORS):
        """Have so many lanes that need so many approvals."""
        lanes = self._open.setdefault((approvals, outage), [])
        name = f"lane-{outage.name}-{approvals}"
        fresh = [
            self._new(f"{name}-{number}", approvals=approvals, outage=outage)
            for number in range(len(lanes), many)
        ]
        lanes.extend(fresh)
        await asyncio.gather(*(asyncio.to_thread(lane.open) for lane in fresh))
        return lanes[:many]

    async def undisturbed(self, *, approvals=0, outage=ERRORS):
        """Run one remediation in peace; returns its end and its history."""
        if (approvals, outage) not in self._undisturbed:
            (lane,) = await self.open(approvals=approvals, outage=outage)
            async with lane.remediation() as handle:
                end = await lane.end_of(handle)
                history = await handle.fetch_history()
            assert end.faults == []
            self._undisturbed[approvals, outage] = end, list(history.events)
        return self._undisturbed[approvals, outage]

    def end(self):
        for lane in (item for lanes in self._open.values() for item in lanes):
            lane.workers.end()


class Lane:
    """One service that gets bad releases, and remediations that put it right."""

    def __init__(self, sandbox, client, folder, name, *, approvals=0, outage=ERRORS):
        self.outage = outage
        self.name = name
        self.client = client
        self.sandbox = sandbox
        self.approvals = approvals
        self.catalog = folder / f"{name}.toml"
        self.workers = Workers(name, sandbox.environment | {"RUNBOOK_CATALOG": str(self.catalog)}, folder)
        self._ecs = ecs_client(sandbox.addresses.aws)
        self._version = 0
        self._bad = ""
        self._calls_before = 0
        self._deployments_before = set()

    # --- its owners -----------------------------------------------------------------------------------------------

    def open(self):
        """Create the service on its good release, and write a catalog for the lane's workers."""
        self._ecs.create_cluster(clusterName=self.name)
        self._ecs.create_service(
            cluster=self.name,
            serviceName=SERVICE,
            taskDefinition=self._register("1.0.0"),
            desiredCount=1,
            **self.outage.settings(self.name),
        )
        self._until_deployed()
        addresses = self.sandbox.addresses
        balancers = self.sandbox.http.get(f"{addresses.aws}/_sandbox/load-balancers").json()
        url = next(balancer["url"] for balancer in balancers if balancer["cluster"] == self.name)
        self.catalog.write_text(
            CATALOG.format(name=self.name, url=url, prometheus=addresses.prometheus, approvals=self.approvals)
        )

    def break_it(self):
        """Deploy a new release that is bad; ECS finds it healthy."""
        self._forget_marks()
        self._version += 1
        self._bad = self._register(f"1.{self._version}.0", **dict([self.outage.fault]))
        self._ecs.update_service(cluster=self.name, service=SERVICE, taskDefinition=self._bad)
        self._until_baking() if self.outage.in_flight else self._until_deployed()
        if self.outage is CRASHES:
            self._until_crashed()
        self._calls_before = len(self.sandbox.calls())
        self._deployments_before = self._deployments()

    def _forget_marks(self):
        """Take the marks of the round before off the good release, which is the same in every round."""
        arn = self._service()["taskDefinition"]
        tags = self._ecs.list_tags_for_resource(resourceArn=arn)["tags"]
        self._ecs.untag_resource(resourceArn=arn, tagKeys=[tag["key"] for tag in tags])

    def _register(self, version, **faults):
        container = {
            "name": "app",
            "image": f"ai-processor:{version}",
            "portMappings": [{"containerPort": 8080}],
            "environment": [{"name": name, "value": value} for name, value in faults.items()],
        }
        registered = self._ecs.register_task_definition(
            family=self.name, cpu="256", memory="512", containerDefinitions=[container]
        )
        return registered["taskDefinition"]["taskDefinitionArn"]

    def _until_deployed(self):
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at:
            newest = self._ecs.list_service_deployments(cluster=self.name, service=SERVICE)[
                "serviceDeployments"
            ]
            if newest and newest[0]["status"] in FINAL_STATUSES:
                assert newest[0]["status"] == "SUCCESSFUL"
                return
            time.sleep(0.1)
        raise TimeoutError(f"the deployment in {self.name} does not end")

    def _until_baking(self):
        """Wait until all traffic is on the bad release, while the good one still runs."""
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at:
            arn = self._service()["currentServiceDeployment"]
            found = self._ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
            if found[0].get("lifecycleStage") == "BAKE_TIME":
                return
            time.sleep(0.1)
        raise TimeoutError(f"the deployment in {self.name} does not bake")

    def _until_crashed(self):
        """Wait until a task of the bad release has ended by itself."""
        give_up_at = time.monotonic() + PATIENCE
        while time.monotonic() < give_up_at:
            crashed = [item for item in self._stopped() if item.get("stopCode") == "EssentialContainerExited"]
            if any(item["taskDefinitionArn"] == self._bad for item in crashed):
                return
            time.sleep(0.1)
        raise TimeoutError(f"no task in {self.name} crashes")

    def _stopped(self):
        """All stopped tasks; rounds leave hundreds of them."""
        pages = self._ecs.get_paginator("list_tasks").paginate(cluster=self.name, desiredStatus="STOPPED")
        for arns in filter(None, (page["taskArns"] for page in pages)):
            yield from self._ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"]

    # --- the runbook ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def remediation(self, workers=WORKERS, *, first=lambda: None):
        """Break the service and start its remediation on so many workers; bob approves where that is needed.

        Args:
            workers: how many.
            first: what is done when the service is broken, before the remediation starts.
        """
        await asyncio.gather(asyncio.to_thread(self.break_it), self.workers.keep(workers))
        first()
        request = self.outage.request(
            service=SERVICE,
            environment=self.name,
            requested_by="alice",
            reason="a bad release",
            **self.outage.suspects(self._bad),
        )
        run_id = await begin(self.client, self.outage.procedure, request)
        handle = self.client.get_workflow_handle(
            remediation_id(self.name, SERVICE), run_id=run_id, result_type=Report
        )
        approving = asyncio.create_task(self._approve(handle)) if self.approvals else None
        try:
            yield handle
        finally:
            if approving:
                approving.cancel()
            with suppress(Exception):  # it has ended, as it should
                await handle.terminate("the test is over")

    async def child_of(self, handle):
        """The child that a remediation runs, as soon as it has started."""
        async with asyncio.timeout(PATIENCE):
            while (
                not (run := await describe(self.client, f"{handle.id}/{self.outage.child}"))
                or not run.is_open
            ):
                await asyncio.sleep(0.02)
        return self.client.get_workflow_handle(run.id, run_id=run.run_id)

    async def _approve(self, handle):
        """Approve as the command line does, as soon as the question can be read."""
        while True:
            run = await describe(self.client, handle.id, handle.run_id)
            gate = await run.memo_value(self.client, "checkpoint", Checkpoint) if run else None
            if gate:
                approval = Approval(by="bob", plan_hash=gate.plan_hash)
                await decide(self.client, run, "decide", "approve", approval)
                return
            await asyncio.sleep(0.02)

    async def end_of(self, handle):
        """Wait for the end, and look at all that it left."""
        async with asyncio.timeout(PATIENCE):
            report = await handle.result()
        records = await records_of(self.client, handle.id, handle.result_run_id)
        return await asyncio.to_thread(self._end, report, records)

    def _end(self, report, records):
        made = [call for call in self.sandbox.calls(since=self._calls_before) if self._is_ours(call)]
        changes = [call for call in made if call["action"] in CHANGES]
        assert made_by_nobody(changes) == []
        good = report.plan.after.task_definition if report.plan else ""
        return End(
            outcome=str(report.outcome),
            runs={good: "the good release", self._bad: "the bad release"}.get(
                self._service()["taskDefinition"], "?"
            ),
            marks={"good": self._marks(good), "bad": self._marks(self._bad)},
            changes=[call["action"] for call in changes if not call["error"]],
            faults=[fault.rule for fault in faults(records, self.sandbox.log())],
            deployments=len(self._deployments() - self._deployments_before),
            steps=[(step.heading, self._nameless(step.step), step.state) for step in report.steps],
        )

    def _service(self):
        return self._ecs.describe_services(cluster=self.name, services=[SERVICE])["services"][0]

    def _is_ours(self, call):
        text = call["parameters"]
        stopped = text.get("serviceDeploymentArn", "").split("/")
        return self.name in {text.get("cluster"), text.get("family"), *stopped}

    def _marks(self, arn):
        tags = self._ecs.list_tags_for_resource(resourceArn=arn)["tags"] if arn else []
        return sorted({tag["key"].split(":")[1] for tag in tags if tag["key"].startswith("runbook:")})

    def _deployments(self):
        """The newest service deployments, by ARN."""
        found = self._ecs.list_service_deployments(cluster=self.name, service=SERVICE, maxResults=20)
        return {deployment["serviceDeploymentArn"] for deployment in found["serviceDeployments"]}

    def _nameless(self, words):
        """A step's words without the lane and the numbers of releases, which are fresh in every round."""
        return re.sub(r"\d+(\.\d+)*", "#", words.replace(self.name, "lane"))
