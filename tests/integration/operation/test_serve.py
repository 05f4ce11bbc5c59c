"""``runbook serve``: Temporal on a file, a worker and the webhook on one machine, against an AWS endpoint."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import psutil
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from sandbox.machine.processes import free_port
from tests.integration.rollback.rollback_stage import Stage
from tests.sandbox_under_test import until


class OneMachine:
    """What ``runbook serve`` runs, and the command line next to it."""

    def __init__(self, environment, data):
        self.data = data
        self.port = free_port()
        self.listen = f"127.0.0.1:{free_port()}"
        self.environment = environment | {"TEMPORAL_ADDRESS": f"127.0.0.1:{self.port}"}
        self.environment.pop("RUNBOOK_WEBHOOK_TOKEN", None)

    @contextmanager
    def serving(self):
        argv = [
            "serve",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
            "--listen",
            self.listen,
            "--json",
        ]
        with subprocess.Popen(
            [sys.executable, "-m", "starter", *argv], env=self.environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                line = process.stdout.readline()
                assert line, "it did not get ready"
                yield process, json.loads(line)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    assert process.wait(60) == 0

    def run(self, *words):
        return subprocess.run(
            [sys.executable, "-m", "starter", *words],
            env=self.environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def show(self, short):
        return json.loads(self.run("show", short, "--json").stdout)


@pytest.fixture
def shop(world, tmp_path):
    stage = Stage(world, tmp_path, None)
    shop = stage.open_shop("gated", "1.0.0", "1.1.0", url=True)
    yield shop
    stage.close_shops()


@pytest.fixture
def machine(world, shop, tmp_path):
    return OneMachine(
        os.environ | world.environment | {"RUNBOOK_CATALOG": str(shop.stage.catalog)}, tmp_path / "data"
    )


async def kept_for(address):
    client = await Client.connect(address)
    described = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    return described.config.workflow_execution_retention_ttl.ToTimedelta().days


@pytest.mark.rare
async def test_a_rollback_that_loses_every_process_ends_as_any_other_after_the_next_start(machine, shop):
    with machine.serving() as (process, addresses):
        assert await kept_for(addresses["temporal"]) == 90
        assert machine.run("start", "rollback", shop.short, "--as", "alice").returncode == 0
        until(lambda: machine.show(shop.short)["checkpoint"])
        before = len(shop.stage.world.calls())
        assert machine.run("approve", shop.short, "--as", "bob", "--yes").returncode == 0
        until(lambda: machine.show(shop.short)["changes"])
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            each.kill()
        process.wait()

    with machine.serving() as (process, _):
        until(lambda: machine.show(shop.short)["state"] == "done")
        page = machine.show(shop.short)

    assert (page["outcome"], [change["action"] for change in page["changes"]]) == (
        "recovered",
        ["UpdateService"],
    )
    made = [call["action"] for call in shop.stage.world.calls(since=before)]
    assert made.count("UpdateService") == 1


@pytest.mark.rare
def test_a_part_that_is_killed_is_started_again_and_nobody_else_may_use_the_folder(machine):
    with machine.serving() as (process, addresses):
        token = (machine.data / "webhook-token").read_text().strip()

        def answers():
            try:
                sent = httpx.post(
                    addresses["alerts"],
                    json={"version": "4", "alerts": []},
                    headers={"Authorization": f"Bearer {token}"},
                )
            except httpx.TransportError:
                return False
            return sent.status_code != 401

        assert answers()
        second = machine.run("serve", "--data", str(machine.data))
        assert (second.returncode, "another `runbook serve` uses" in second.stderr) == (5, True)
        taken = machine.run("serve", "--data", f"{machine.data}-2", "--port", str(machine.port))
        assert (taken.returncode, f"{machine.port}: Address already in use" in taken.stderr) == (2, True)
        for each in psutil.Process(process.pid).children():
            each.kill()
        until(lambda: machine.run("list", "--json").returncode == 0)
        until(answers)
        assert (
            machine.data.stat().st_mode & 0o777,
            (machine.data / "webhook-token").stat().st_mode & 0o777,
        ) == (0o700, 0o600)
