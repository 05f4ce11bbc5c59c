"""The worked example, installed as a team installs its own package: from an alert to the review, on the sandbox.

Only the worker's environment has the package; the receiver of alerts and the command line that looks on have none of it.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from starter.processes.world import PORTS
from tests.integration.cli.installed import ROOT, install, run
from tests.integration.observing.webhook_process import WebhookProcess
from tests.patience import PATIENCE
from tests.sandbox_under_test import running_sandbox, until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("own-procedure")]

EXAMPLE = ROOT / "docs" / "examples" / "stuck-deployment"
ALERT = {"alertname": "DeploymentStuck", "service": "ai-processor", "environment": "staging"}
ROW = """
[[alerts]]
name = "DeploymentStuck"
severity = "warning"
respond_within = "15m"
procedure = "stuck-deployment"
"""
TOKEN = "of-this-test-alone"
STEADY = 20
"""Seconds after which a deployment counts as stuck."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The product and the example, each from its wheel, in an environment of their own."""
    folder = tmp_path_factory.mktemp("own")
    program = install(folder)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder / "example"]
    subprocess.run(build, cwd=EXAMPLE, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = (folder / "example").glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", program.with_name("python"), "install")
    run(*pip, "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", wheel)
    return program


@pytest.fixture(scope="module")
def world():
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def catalog(world, tmp_path):
    """The sandbox's catalog, with a row for the example, and with little patience."""
    text = Path(world.addresses.catalog).read_text()
    assert 'soak = "0s" }' in text
    assert "[incidents]" not in text
    text = text.replace('soak = "0s" }', f'soak = "0s", steady = "{STEADY}s" }}')
    text += f'{ROW}\n[incidents]\nquiet = "1s"\n'
    (tmp_path / "catalog.toml").write_text(text)
    return tmp_path / "catalog.toml"


@pytest.fixture
def environment(world, catalog, tmp_path):
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TEMPORAL", "RUNBOOK", "OTEL", "PYTHON", "AWS"))
    }
    ours = {"RUNBOOK_CATALOG": str(catalog), "RUNBOOK_WEBHOOK_TOKEN": TOKEN, "RUNBOOK_REVIEWS": str(tmp_path)}
    return inherited | world.addresses.env | ours | {"RUNBOOK_USER": "alice"}


@pytest.fixture
def runbook(environment, tmp_path):
    """The command line of the checkout, which has the product alone."""

    def call(*words, program=(sys.executable, "-m", "starter")):
        done = subprocess.run(
            [*program, *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    return call


@pytest.fixture
def worker(program, environment, tmp_path):
    log = tmp_path / "worker.log"
    with log.open("wb") as out, subprocess.Popen(
        [program, "worker"], cwd=tmp_path, env=environment, stdout=out, stderr=out
    ) as process:  # fmt: skip
        try:
            until(lambda: process.poll() is None and "worker ready" in log.read_text())
            yield log
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


@pytest.fixture
def webhook(environment, tmp_path):
    webhook = WebhookProcess(PORTS[-1], tmp_path)
    webhook.start(environment)

    def send(status):
        alert = {
            "status": status, "labels": ALERT, "annotations": {"summary": "A deployment does not arrive"},
            "startsAt": datetime.now(UTC).isoformat(), "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "5f3a",
        }  # fmt: skip
        body = {"version": "4", "status": status, "groupKey": "g", "alerts": [alert]}
        answer = httpx.post(
            f"{webhook.url}/alerts", json=body, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
        )
        assert answer.status_code // 100 == 2, answer.text

    yield send
    webhook.end()


def test_from_its_alert_to_its_review(world, program, runbook, worker, webhook, catalog):
    assert "worker: serves stuck-deployment by stuck-deployment-procedure 0.1.0" in worker.read_text()

    own = (program,)
    assert runbook("catalog", "check", program=own).returncode == 0
    unknown = runbook("catalog", "check")
    assert unknown.returncode == 2
    assert "no such procedure is installed here" in unknown.stderr
    printed = runbook("print", "stuck-deployment", "staging/ai-processor", program=own)
    assert "aws ecs stop-service-deployment" in printed.stdout
    looked = json.loads(runbook("doctor", "--environment", "staging", "--json").stdout)["checks"]
    assert [(check["ok"], check["detail"]) for check in looked if check["name"] == "procedures"] == [
        (True, "stuck-deployment by stuck-deployment-procedure 0.1.0")
    ]
    nothing = runbook("start", "stuck-deployment", "staging/ai-processor", "--wait", "--json")
    assert (nothing.returncode, json.loads(nothing.stdout)["outcome"]) == (0, "not-needed")

    stuck = world.deploy("staging", "1.1.0", FAULT_UNHEALTHY=1)
    until(lambda: _age_of_deployment(world) > timedelta(seconds=STEADY))
    webhook("firing")

    def remediation():
        rows = json.loads(runbook("list", "--service", "ai-processor", "--json").stdout)
        ended = [row for row in rows if row["procedure"] == "stuck-deployment" and row["outcome"]]
        return next((row for row in ended if row["outcome"] != "not-needed"), None)

    ended = until(remediation)
    assert ended["outcome"] == "recovered", runbook("show", ended["id"]).stdout
    assert [call["action"] for call in world.calls("StopServiceDeployment")] == ["StopServiceDeployment"]
    deployments = world.service("staging")["deployments"]
    assert [each["taskDefinition"] for each in deployments if each["status"] == "PRIMARY"] != [
        stuck.task_definition
    ]

    webhook("resolved")
    shown = until(lambda: _ended(runbook("show", "incident/staging/ai-processor", "--json")))
    assert shown["outcome"] == "recovered"
    review = runbook("review", "incident/staging/ai-processor").stdout
    assert "stuck-deployment" in review
    assert "StopServiceDeployment" in review
    assert "Find out why" in review


def _age_of_deployment(world):
    """How long the newest service deployment has been under way."""
    found = world.aws("ecs").list_service_deployments(
        cluster="ai-processor-staging", service="ai-processor-service-staging"
    )
    return datetime.now(UTC) - found["serviceDeployments"][0]["createdAt"]


def _ended(shown):
    state = json.loads(shown.stdout)
    return state if state["outcome"] else None
