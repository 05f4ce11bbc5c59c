"""Alerts on their whole way: a real Prometheus fires the product's rules, a real Alertmanager calls the webhook, Temporal has them."""

import asyncio
import os
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from activities.runtime.converter import data_converter
from runbook_model.incident.messages import AlertBatch
from sandbox.machine.processes import free_port
from tests.integration.observing.webhook_process import WebhookProcess
from tests.patience import PATIENCE
from tests.sandbox_under_test import running_sandbox, until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("alerts"), pytest.mark.timeout(600)]
TOKEN = "a-token-of-this-test"


class Alerted:
    """A sandbox whose alerts reach Temporal through the webhook."""

    def __init__(self, sandbox, webhook, client):
        self.sandbox, self.webhook, self.client = sandbox, webhook, client
        self.alertmanager = sandbox.addresses.alertmanager

    async def signals(self, environment, service="ai-processor"):
        """The batches that an incident was sent, in their order."""
        handle = self.client.get_workflow_handle(f"incident/{environment}/{service}")
        try:
            history = await handle.fetch_history()
        except RPCError:
            return []
        sent = [
            event.workflow_execution_signaled_event_attributes.input.payloads
            for event in history.events
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
        return [(await data_converter.decode(payloads, [AlertBatch]))[0] for payloads in sent]

    async def states(self, environment, service="ai-processor"):
        """Name and task of each alert -> its last state."""
        return {
            (alert.name, alert.labels.get("task")): alert.status
            for batch in await self.signals(environment, service)
            for alert in batch.alerts
        }

    async def await_state(self, environment, name, status):
        give_up_at = time.monotonic() + PATIENCE
        while (await self.states(environment)).get((name, None)) != status:
            assert time.monotonic() < give_up_at, (
                await self.states(environment),
                self.webhook.log.read_text(),
            )
            await asyncio.sleep(0.2)

    def order(self, action):
        """Kill or restart Alertmanager."""
        url = f"{self.sandbox.addresses.aws}/_sandbox/alertmanager"
        self.sandbox.http.post(url, json={"action": action}).raise_for_status()


@pytest.fixture(scope="module")
async def alerted(tmp_path_factory):
    port = free_port()
    webhook = WebhookProcess(port, tmp_path_factory.mktemp("webhook"))
    options = ("--alertmanager-webhook", f"http://127.0.0.1:{port}/alerts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_WEBHOOK_TOKEN", TOKEN)
        with running_sandbox(*options) as sandbox:
            webhook.start(os.environ | sandbox.addresses.env)
            client = await Client.connect(sandbox.addresses.temporal, data_converter=data_converter)
            yield Alerted(sandbox, webhook, client)
            webhook.kill()


async def test_a_release_that_fails_fires_and_a_good_one_resolves(alerted):
    alerted.sandbox.deploy("staging", "1.1.0", FAULT_ERROR_RATE=0.4, wait=True)
    await alerted.await_state("staging", "HighErrorRate", "firing")
    (alert,) = (await alerted.signals("staging"))[0].alerts
    assert (alert.service, alert.environment, alert.severity) == ("ai-processor", "staging", "warning")
    assert alert.problem is None
    assert alert.annotations["impact"].endswith("of the requests to ai-processor are answered with an error.")
    assert alert.starts_at <= datetime.now(UTC)
    alerted.sandbox.deploy("staging", "1.1.1", wait=True)
    await alerted.await_state("staging", "HighErrorRate", "resolved")
    ended = [alert for batch in await alerted.signals("staging") for alert in batch.alerts if alert.ends_at]
    assert {alert.fingerprint for alert in ended} == {
        alert.fingerprint for alert in ended if alert.starts_at < alert.ends_at
    }


async def test_a_release_that_leaks_connections_fires_for_its_database(alerted):
    alerted.sandbox.deploy("prod", "1.2.0", FAULT_DB_CONNECTIONS=12, wait=True)
    await alerted.await_state("prod", "DatabaseConnectionsHigh", "firing")
    alerted.sandbox.deploy("prod", "1.2.1", wait=True)
    await alerted.await_state("prod", "DatabaseConnectionsHigh", "resolved")


async def test_killing_every_part_in_turn_loses_no_alert(alerted):
    tasks = [str(number) for number in range(40)]
    with sending(alerted.alertmanager, tasks) as begin:
        begin(10)
        until(lambda: '"alerts": 10' in alerted.webhook.log.read_text())
        alerted.webhook.kill()
        begin(20)
        alerted.webhook.restart()
        alerted.sandbox.temporal("kill")
        begin(30)
        until(lambda: '"status": 503' in alerted.webhook.log.read_text())
        unavailable = {"status": "unavailable", "temporal": False}
        until(lambda: alerted.webhook.health().json() == unavailable)
        alerted.order("kill")
        begin(40)
        alerted.sandbox.temporal("start")
        alerted.order("restart")
        give_up_at = time.monotonic() + PATIENCE
        while (
            len(found := {task for name, task in await alerted.states("staging") if name == "HighCPU"}) < 40
        ):
            assert time.monotonic() < give_up_at, (sorted(found), alerted.webhook.log.read_text()[-3000:])
            await asyncio.sleep(0.3)
    assert found == set(tasks)
    until(lambda: alerted.webhook.health().status_code == 200)


@pytest.mark.parametrize(
    ("framing", "sent"), [("Content-Length: 10485760", 0), ("Transfer-Encoding: chunked", 5 * 1024 * 1024)]
)
async def test_ten_megabytes_are_refused_before_they_have_come(alerted, framing, sent):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(alerted.webhook.url.rpartition(":")[2]))
    head = f"POST /alerts HTTP/1.1\r\nHost: webhook\r\nAuthorization: Bearer {TOKEN}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n{framing}\r\n\r\n".encode())
    if sent:
        writer.write(f"{sent:x}\r\n".encode() + b" " * sent)
    async with asyncio.timeout(PATIENCE):
        assert b" 413 " in await reader.readline()
        with suppress(ConnectionError):  # what was sent and never read resets it
            await reader.read()  # to the end: the connection is closed
    writer.close()


async def test_a_webhook_that_is_asked_to_end_answers_first_and_ends_well(alerted):
    assert alerted.webhook.end() == 0
    log = alerted.webhook.log.read_text()
    assert TOKEN not in log
    assert "Traceback" not in log
    alerted.webhook.restart()


@contextmanager
def sending(alertmanager, tasks):
    """Send alerts again and again while they last, as a Prometheus does; yields what lets so many of them start."""
    state = {"started": 0}
    over = threading.Event()
    began = datetime.now(UTC)

    def send():
        with httpx.Client(trust_env=False) as client:
            while not over.wait(0.5):
                try:
                    client.post(
                        f"{alertmanager}/api/v2/alerts",
                        json=[alert(task) for task in tasks[: state["started"]]],
                    )
                except httpx.TransportError:
                    continue

    def alert(task):
        labels = {
            "alertname": "HighCPU",
            "service": "ai-processor",
            "environment": "staging",
            "severity": "warning",
            "task": task,
        }
        ends = datetime.now(UTC) + timedelta(minutes=4)
        return {"labels": labels, "startsAt": began.isoformat(), "endsAt": ends.isoformat()}

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield lambda number: state.update(started=number)
    finally:
        over.set()
        thread.join()
