"""Somebody at a desk: the command line on one environment of a sandbox, and what its AWS was asked meanwhile."""

import asyncio
import json

from runbook_model.messages import Approval, ProcedureRequest
from runbook_model.names.ids import remediation_id
from runbook_model.reports import Report
from starter.client.starting import begin
from tests.integration.cli.command_line import CommandLine
from tests.integration.rollback.rollback_stage import seen
from tests.patience import PATIENCE

READS = ("Describe", "List", "Get", "Filter")
LEDGER = {"TagResource"}


class Desk:
    """The sandbox's own service in one environment, as people of the runbook work on it."""

    def __init__(self, world, client, environment):
        self.world = world
        self.client = client
        self.environment = environment
        self.short = f"{environment}/ai-processor"
        self._cli = CommandLine(world.addresses.temporal, environment)
        self._calls_before = 0
        self.run = None

    async def cli(self, *words, user="alice"):
        return await self._cli(*words, user=user, **self.world.addresses.env)

    async def start_by_cli(self, procedure, *words):
        """Start a procedure from the command line; from now on its calls count."""
        self._calls_before = len(self.world.calls())
        names = ("--service", "ai-processor", "--environment", self.environment)
        return await self.cli("start", procedure, *names, "--reason", "a test", "--json", *words)

    async def plan(self, procedure):
        """Have a procedure plan; whatever it finds, it changes nothing."""
        planned = await self.start_by_cli(procedure, "--plan")
        assert planned.code == 0, planned.err + planned.out
        assert self.calls(), "it read nothing from AWS"
        assert self.changes(and_marks=True) == []
        return planned.json

    async def start(self, procedure):
        """Start a procedure; from now on its calls count, and it is the run that the rest is about."""
        self._calls_before = len(self.world.calls())
        request = ProcedureRequest(
            service="ai-processor", environment=self.environment, requested_by="alice", reason="a test"
        )
        run_id = await begin(self.client, procedure, request)
        workflow_id = remediation_id(self.environment, "ai-processor")
        self.run = self.client.get_workflow_handle(workflow_id, run_id=run_id, result_type=Report)

    async def asked(self):
        """The page once it asks people."""
        return await seen(self.run, lambda page: page.checkpoint is not None)

    async def answer(self, **how):
        """Have bob answer what is asked; returns the page at its end."""
        gate = (await self.asked()).checkpoint
        await self.run.execute_update("decide", Approval(by="bob", plan_hash=gate.plan_hash, **how))
        return await self.end()

    async def end(self):
        """The page at the run's end."""
        async with asyncio.timeout(PATIENCE):
            return await self.run.result()

    def calls(self):
        """What AWS was asked about this environment since the start."""
        made = self.world.calls(since=self._calls_before)
        return [call for call in made if f"ai-processor-{self.environment}" in json.dumps(call["parameters"])]

    def changes(self, *, and_marks=False):
        """What was changed in AWS since the start; marks in the ledger of releases only where they are asked for."""
        made = [call["action"] for call in self.calls() if not call["action"].startswith(READS)]
        return [item for item in made if and_marks or item not in LEDGER]


def cited(page, step):
    """What a step of a page was given, by what it asked: the answer, the query and the time."""
    (found,) = [item.cited for item in page.steps if item.step == step]
    return {item.what: item for item in found}
