"""The command line as tests use it: a process for every command, and a worker that comes and goes."""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.worker import Worker

from tests.integration.cli.page_workflow import AskingRollback, read_service
from tests.patience import PATIENCE
from tests.programs import Command
from workflows.page.deciding.handlers import TrimArguments
from workflows.page.sandbox import sandbox_runner


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class CommandLine:
    """The real command line as a process of its own, and a worker that can come and go."""

    def __init__(self, address, environment, client=None):
        self.address = address
        self.environment = environment
        self.service = "ai-processor"
        self.client = client

    @property
    def short(self):
        return f"{self.environment}/{self.service}"

    @property
    def id(self):
        return f"remediation/{self.short}"

    async def __call__(self, *words, user="alice", **environment):
        process = await self.begin(*words, user=user, **environment)
        async with asyncio.timeout(300):  # a command that hangs fails its test, not the whole process
            out, err = await process.communicate()
        assert "Traceback" not in err.decode()
        return Said(process.returncode, out.decode(), err.decode())

    async def begin(self, *words, user="alice", **environment):
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TEMPORAL", "RUNBOOK", "OTEL"))
        }
        return await Command.begin(
            *words,
            environment=inherited | {"TEMPORAL_ADDRESS": self.address, "RUNBOOK_USER": user} | environment,
        )

    async def start(self, *more, **environment):
        target = ("--service", self.service, "--environment", self.environment)
        return await self("start", "rollback", *target, *more, **environment)

    async def start_and_ask(self, *more):
        """Start, and wait until it waits for an approval."""
        started = await self.start("--json", *more)
        assert started.code == 0, started.err
        handle = self.client.get_workflow_handle(self.id)
        async with asyncio.timeout(PATIENCE):
            while (await handle.query("status"))["state"] != "awaiting-approval":
                await asyncio.sleep(0.02)
        return started.json

    @asynccontextmanager
    async def worker(self, rollback=AskingRollback, runner=None):
        async with Worker(
            self.client,
            task_queue=f"runbooks-{self.environment}",
            workflows=[rollback],
            workflow_runner=runner or sandbox_runner(),
            activities=[read_service],
            interceptors=[TrimArguments()],
        ):
            yield
