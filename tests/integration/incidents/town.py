"""A town with one service: real alerts, a webhook, a worker and a Slack, each of which can be killed and comes back."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from runbook_model.names.ids import incident_id, remediation_id
from starter.client.run_view import look
from starter.client.runs import describe, find
from starter.demo.outside import aws_calls, slack_messages
from tests.patience import PATIENCE

SERVICE = "ai-processor"
PARTS = ("alertmanager", "webhook", "worker", "temporal")
EVERYDAY_SECONDS = 30
"""Until it is known what is usual."""


class Town:
    """The world of one test module; what breaks in it is broken by a release."""

    def __init__(self, world, client):
        self.world = world
        self.client = client
        self._orders = {
            "webhook": (world.kill_webhook, world.start_webhook),
            "worker": (world.kill_worker, world.start_worker),
            "temporal": (self._order("temporal", "kill"), self._order("temporal", "start")),
            "alertmanager": (self._order("alertmanager", "kill"), self._order("alertmanager", "restart")),
        }
        self._versions = iter(range(1, 100))

    def kill(self, *parts):
        """SIGKILL parts of the town."""
        for part in parts:
            self._orders[part][0]()

    def revive(self, *parts):
        """Bring parts back, each ready when this returns; Temporal first, as a worker needs it to get ready."""
        for part in sorted(parts, key=lambda item: item != "temporal"):
            self._orders[part][1]()

    def query(self, promql):
        """Ask Prometheus; returns the values."""
        request = Request(f"{self.world.addresses['prometheus']}/api/v1/query", f"query={promql}".encode())
        with urlopen(request, timeout=10) as answer:
            return [float(item["value"][1]) for item in json.load(answer)["data"]["result"]]

    def allow_one_outage_after_the_other(self):
        """Hold nothing back because it was started lately."""
        catalog = Path(self.world.addresses["catalog"])
        text = catalog.read_text().replace('cool_down = "20s"', 'cool_down = "0s"')
        cluster = f'cluster = "{SERVICE}-staging"\n'
        assert cluster in text
        catalog.write_text(text.replace(cluster, f"{cluster}brake = {{ per_service_per_hour = 50 }}\n"))

    async def everyday(self):
        """Return once it is known what is usual."""
        oldest = 'min_over_time(timestamp(http_requests_total{environment="staging"})[5m:1s])'
        await until(lambda: max(self.query(f"time() - min({oldest})"), default=0) > EVERYDAY_SECONDS)

    def outage(self, environment):
        """Release a version that fails, which ECS calls successful; returns what becomes of it."""
        version = f"1.{next(self._versions)}.0"
        argv = [sys.executable, "-m", "sandbox", "deploy", "--environment", environment, "--wait"]
        argv += [f"--version={version}", "--set=FAULT_ERROR_RATE=0.3"]
        subprocess.run(argv, env=self.world.environment, check=True, stdout=subprocess.DEVNULL)
        return Outage(self, environment)

    def _order(self, part, action):
        def give():
            url = f"{self.world.addresses['aws']}/_sandbox/{part}"
            with urlopen(Request(url, json.dumps({"action": action}).encode()), timeout=60) as answer:
                assert answer.status == 200

        return give


class Outage:
    """One release that fails, in one environment, and the incident that it becomes."""

    def __init__(self, town, environment):
        self.town = town
        self.environment = environment
        self.began = datetime.now(UTC)
        self.incident = incident_id(environment, SERVICE)
        self.remediation = remediation_id(environment, SERVICE)

    async def fires(self):
        """Return once Prometheus fires, whoever hears of it."""
        firing = f'ALERTS{{alertname="HighErrorRate",alertstate="firing",environment="{self.environment}"}}'
        await until(lambda: self.town.query(firing))

    async def opened(self):
        """Return once the incident is open."""

        async def is_open():
            run = await describe(self.town.client, self.incident)
            return run is not None and run.started > self.began

        await until(is_open)

    async def at(self, heading):
        """Return once the rollback is at a part of its page."""

        async def is_there():
            run = await describe(self.town.client, f"{self.remediation}/rollback")
            if run is None or run.started < self.began:
                return False
            page = (await look(self.town.client, run)).report
            assert page.outcome is None, f"it ended before {heading!r}: {page.summary}"
            return page.heading == heading

        await until(is_there)

    async def over(self):
        """Return the page of the incident once it has ended."""

        async def ended():
            run = await describe(self.town.client, self.incident)
            return None if run is None or run.is_open else await look(self.town.client, run)

        return (await until(ended)).report

    async def runs(self, workflow_id):
        """The runs that there were of an id since it started."""
        found, _ = await find(self.town.client, f'WorkflowId = "{workflow_id}"', 50)
        return [run for run in found if run.started > self.began]

    def changes(self):
        """What was changed in AWS since it started, but for marks in the ledger of releases."""
        made = aws_calls(self.town.world.addresses["aws"], self.began)
        return [item.action for item in made if item.changes and self.environment in str(item.parameters)]

    async def messages(self):
        """What people were sent of it."""
        run = (await self.runs(self.incident))[-1]
        mark = f"{self.incident}@{run.run_id[:8]}#"
        wording = slack_messages(self.town.world.addresses["slack"])
        return [item for item in wording if item.mark.startswith(mark)]

    async def review(self):
        """The page of its review."""
        run = (await self.runs(self.incident))[-1]
        folder = Path(self.town.world.environment["RUNBOOK_REVIEWS"]) / self.environment / SERVICE
        (page,) = folder.glob(f"*-{run.run_id[:8]}.md")
        return page.read_text()


async def until(true):
    """Ask until the answer is true, and return it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = true()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return answer
            await asyncio.sleep(0.1)
