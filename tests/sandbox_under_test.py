"""A running sandbox for tests: its addresses, clients for it, and ways to break what runs in it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.patience import PATIENCE

BOOT_SECONDS = 90.0
EVERYDAY_REQUESTS = 25
"""A second, in each environment."""


@dataclass(frozen=True)
class Addresses:
    """The one line of JSON that ``up --json`` prints, typed."""

    temporal: str
    ui: str
    aws: str
    service: dict[str, str]
    prometheus: str | None
    catalog: str
    folder: str
    env: dict[str, str]
    services: dict[str, dict[str, str]] | None = None
    alertmanager: str | None = None
    slack: str | None = None


@dataclass(frozen=True)
class Delivered:
    """What the delivery pipeline says about a release that it sent on its way."""

    task_definition: str
    deployment_id: str
    status: str | None = None


class SandboxUnderTest:
    """One sandbox, in a process and a folder of its own."""

    def __init__(self, process: subprocess.Popen, addresses: Addresses):
        self.process = process
        self.addresses = addresses

    @cached_property
    def http(self) -> httpx.Client:
        return httpx.Client(trust_env=False, timeout=30)

    @cached_property
    def environment(self) -> dict[str, str]:
        """This process's environment with the sandbox's on top, for programs that a test starts."""
        return os.environ | self.addresses.env

    def aws(self, service: str) -> Any:
        """A boto3 client of the simulated AWS; its calls are in the call log."""
        env = self.addresses.env
        return boto3.client(
            service,
            endpoint_url=self.addresses.aws,
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )

    def calls(self, *actions: str, since: int = 0) -> list[dict[str, Any]]:
        """The AWS calls by anyone but the sandbox, from index ``since`` on; only these actions when given."""
        calls = self.http.get(f"{self.addresses.aws}/_sandbox/calls").raise_for_status().json()[since:]
        return [call for call in calls if not actions or call["action"] in actions]

    def log(self) -> list[dict[str, Any]]:
        """The calls of all systems by anyone but the sandbox, in the one order in which they were applied."""
        return self.http.get(f"{self.addresses.aws}/_sandbox/log").raise_for_status().json()

    def fault(self, action: str, *, times: int = 1, **what: Any) -> None:
        """Have the next calls of an action fail: ``error=`` code, ``delay_seconds=`` or ``lose_reply=True``."""
        body = {"action": action, "times": times, **what}
        self.http.post(f"{self.addresses.aws}/_sandbox/faults", json=body).raise_for_status()

    def clear_faults(self) -> None:
        """Forget the faults that are still to come."""
        self.http.delete(f"{self.addresses.aws}/_sandbox/faults").raise_for_status()

    def move_tag(self, tag: str, version: str) -> None:
        """Have a tag point to a version's image from now on, as a build does that pushes over it."""
        body = {"tag": tag, "version": version}
        self.http.post(f"{self.addresses.aws}/_sandbox/images", json=body).raise_for_status()

    def deploy(
        self,
        environment: str,
        version: str,
        *,
        service: str | None = None,
        wait: bool = False,
        cpu: int = 256,
        memory: int = 512,
        **faults: Any,
    ) -> Delivered:
        """Release a version through the demo company's pipeline; ``FAULT_ERROR_RATE=0.3`` and so on break it."""
        argv = [sys.executable, "-m", "sandbox", "deploy", "--environment", environment, "--version", version]
        argv += [f"--service={service}"] if service else []
        argv += [
            f"--cpu={cpu}",
            f"--memory={memory}",
            *(f"--set={name}={value}" for name, value in faults.items()),
        ]
        done = subprocess.run(
            [*argv, *(["--wait"] if wait else [])],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return Delivered(**json.loads(done.stdout))

    def load(self, environment: str, requests_per_second: float) -> None:
        """Change the everyday load; 0 turns it off."""
        body = {"environment": environment, "requests_per_second": requests_per_second}
        self.http.post(f"{self.addresses.aws}/_sandbox/load", json=body).raise_for_status()

    @contextmanager
    def under_load(self, *environments: str) -> Iterator[None]:
        """Send the services of some environments everyday requests for a while."""
        for environment in environments:
            self.load(environment, EVERYDAY_REQUESTS)
        try:
            yield
        finally:
            for environment in environments:
                self.load(environment, 0)

    def compose(self, service: str = "ai-processor", **what: Any) -> None:
        """Break the compose project, or put it right: ``action=`` "kill" or "hang", else ``environment=`` and ``restart=``."""
        body = {"service": service, **(what if "action" in what else {"environment": {}, **what})}
        self.http.post(f"{self.addresses.aws}/_sandbox/compose", json=body).raise_for_status()

    def query(self, promql: str) -> list[tuple[dict[str, str], float]]:
        """Ask Prometheus for an instant vector; NaN values are left in."""
        assert self.addresses.prometheus, "no Prometheus: install the Debian package `prometheus`"
        url = f"{self.addresses.prometheus}/api/v1/query"
        answer = self.http.get(url, params={"query": promql}).raise_for_status().json()
        return [(item["metric"], float(item["value"][1])) for item in answer["data"]["result"]]

    def temporal(self, action: str) -> None:
        """``kill`` (SIGKILL), ``start`` or ``restart`` the Temporal server on its file."""
        url = f"{self.addresses.aws}/_sandbox/temporal"
        self.http.post(url, json={"action": action}).raise_for_status()

    def service(self, environment: str) -> dict[str, Any]:
        """DescribeServices of an environment's service, in the sandbox's own name: it is not in the call log."""
        ecs = boto3.client(
            "ecs", endpoint_url=self.addresses.aws, region_name="us-east-1",
            aws_access_key_id="sandbox", aws_secret_access_key="sandbox",
            config=boto3.session.Config(user_agent_extra="sandbox-internal"),
        )  # fmt: skip
        found = ecs.describe_services(
            cluster=f"ai-processor-{environment}", services=[f"ai-processor-service-{environment}"]
        )
        return found["services"][0]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """End the sandbox with a signal and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)


def until(true, seconds: float = PATIENCE, every: float = 0.1):
    """Call a question until its answer is true, and return the answer; fail when it never is."""
    give_up_at = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < give_up_at, f"not true after {seconds} s: {true}"
        time.sleep(every)
    return answer


@contextmanager
def running_sandbox(*options: str):
    """Start a sandbox and end it afterwards, whatever happens; it also ends when this process dies."""
    with tempfile.TemporaryDirectory(prefix="sandbox-under-test-", ignore_cleanup_errors=True) as folder:
        errors = Path(folder) / "stderr.log"
        argv = [sys.executable, "-m", "sandbox", "up", "--json", "--until-stdin-closes", f"--folder={folder}"]
        argv.append("--wait-for-prometheus")
        with errors.open("wb") as stderr, subprocess.Popen(
            [*argv, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process:  # fmt: skip
            try:
                line = _first_line(process)
                assert line, f"the sandbox did not boot: {errors.read_text()}"
                yield SandboxUnderTest(process, Addresses(**json.loads(line)))
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait(timeout=PATIENCE)


def _first_line(process: subprocess.Popen) -> bytes:
    """Read the line that comes when the sandbox is ready; kill it when that takes too long."""
    timer = threading.Timer(BOOT_SECONDS, process.kill)
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()
