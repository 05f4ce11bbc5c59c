"""Modules of Terraform's built-in resource, a backend with locks over HTTP, and activities that run on them."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from temporalio.testing import ActivityEnvironment

from activities.aws.clients import AwsClients
from activities.terraform.activities import TerraformActivities, TerraformApply
from activities.terraform.state import PlanStore
from runbook_model.catalog.service_policies import Terraform
from runbook_model.releases.terraform_plans import TerraformPlan, TerraformWish
from tests.observing import a_target

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "correct-horse-9"
PRINTED = "what a provisioner prints"
MODULE = f"""
variable "image_tag" {{ type = string }}
variable "seconds" {{ default = "0" }}
variable "token" {{
  type      = string
  sensitive = true
  default   = "{SECRET}"
}}
resource "terraform_data" "task_definition" {{
  input = {{
    containers = jsonencode([{{
      name        = "app"
      image       = "shop:${{var.image_tag}}"
      environment = [{{ name = "DB_PASSWORD", value = "{SECRET}-${{var.image_tag}}" }}]
    }}])
    token = "${{var.token}}-${{var.image_tag}}"
    same  = "not shown"
  }}
}}
resource "terraform_data" "service" {{
  triggers_replace = [var.image_tag]
  provisioner "local-exec" {{
    command = "echo started >> ran; echo password={SECRET}; echo {PRINTED}; sleep ${{var.seconds}}; . ./then; echo ended >> ran"
  }}
}}
output "tag" {{ value = var.image_tag }}
"""
RUN = "run-1"


def program() -> str:
    """Find the real program."""
    found = shutil.which("terraform") or shutil.which("tofu")
    if not found:
        pytest.fail("neither terraform nor tofu is on PATH: install OpenTofu (package tofu) or Terraform")
    return found


class Infrastructure:
    """One module with its state, and the plan store of one worker."""

    def __init__(self, folder: Path, module: str = MODULE) -> None:
        self.directory = folder / "module"
        self.directory.mkdir()
        (self.directory / "main.tf").write_text(module)
        self.then = self.directory / "then"
        """What the provisioner also does: procedures set no variables but those that the catalog names."""
        self.then.touch()
        self.store = folder / "plans"
        self.target = a_target(terraform=Terraform(directory=str(self.directory)))
        self.clients = AwsClients()
        self.program = program()
        self.heartbeats: list[tuple] = []
        self.environment = self.new_environment()

    def owned(self, **keys: object) -> None:
        """Say more of the module in the catalog."""
        assert self.target.terraform
        owner = self.target.terraform.model_copy(update=keys)
        self.target = self.target.model_copy(update={"terraform": owner})

    def activities(self, patience: float = 20) -> TerraformActivities:
        return TerraformActivities(
            self.clients, PlanStore(self.store), timedelta(seconds=patience), self.program
        )

    def new_environment(self, **info: object) -> ActivityEnvironment:
        """An attempt of an activity, the first unless set."""
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info, workflow_run_id=RUN, heartbeat_timeout=timedelta(seconds=0.3), **info
        )
        environment.on_heartbeat = lambda *details: self.heartbeats.append(details)
        return environment

    async def plan(
        self, tag: str, *, patience: float = 20, then: str = "", **variables: str
    ) -> TerraformPlan:
        self.then.write_text(then)
        wish = TerraformWish(target=self.target, variables={"image_tag": tag, **variables})
        return await self.new_environment().run(self.activities(patience).plan_terraform, wish)

    def order(self, plan: TerraformPlan) -> TerraformApply:
        return TerraformApply(target=self.target, variables=plan.variables, hash=plan.hash, run_id=RUN)

    async def apply(self, plan: TerraformPlan, *, patience: float = 20, **info: object):
        self.environment = self.new_environment(**info)
        return await self.environment.run(self.activities(patience).apply_terraform, self.order(plan))

    def ran(self) -> list[str]:
        """What the provisioner wrote: a line when it starts and one when it ends."""
        path = self.directory / "ran"
        return path.read_text().split() if path.exists() else []

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Somebody's own run of the program."""
        return subprocess.run(
            [program(), *arguments], cwd=self.directory, capture_output=True, text=True, check=False
        )

    def somebody_applies(self, tag: str, seconds: int = 0) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [program(), "apply", "-auto-approve", f"-var=image_tag={tag}", f"-var=seconds={seconds}"],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def locked(self) -> bool:
        return "acquiring the state lock" in self.terraform("plan", "-var=image_tag=x").stderr

    def worker_that_applies(self, plan: TerraformPlan) -> subprocess.Popen[bytes]:
        """A process of its own that runs the activity, to be killed."""
        order = self.order(plan).model_dump_json()
        return subprocess.Popen([sys.executable, "-c", WORKER, str(self.store), order])


WORKER = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from temporalio.testing import ActivityEnvironment
from activities.aws.clients import AwsClients
from activities.terraform.state import PlanStore
from activities.terraform.activities import TerraformActivities, TerraformApply

store, order = sys.argv[1:]
activities = TerraformActivities(AwsClients(), PlanStore(Path(store)), timedelta(seconds=5))
asyncio.run(ActivityEnvironment().run(activities.apply_terraform, TerraformApply.model_validate_json(order)))
"""


class Backend:
    """Terraform's state behind HTTP, with the locks that a remote backend has: nobody but their holder gives them back."""

    def __init__(self) -> None:
        self.state = b""
        self.lock = b""
        self.unlocked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _answers(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def module(self) -> str:
        address = f"http://127.0.0.1:{self._server.server_port}/"
        names = ("address", "lock_address", "unlock_address")
        inner = "\n".join(f'    {name} = "{address}"' for name in names)
        return f'terraform {{\n  backend "http" {{\n{inner}\n  }}\n}}\n{MODULE}'

    @property
    def lock_id(self) -> str:
        return json.loads(self.lock)["ID"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answers(backend: Backend) -> type[BaseHTTPRequestHandler]:
    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("content-length", 0)))

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._answer(200 if backend.state else 404, backend.state)

        def do_POST(self) -> None:
            backend.state = self._body()
            self._answer(200)

        def do_LOCK(self) -> None:
            wanted = self._body()
            if backend.lock:
                self._answer(423, backend.lock)
                return
            backend.lock = wanted
            self._answer(200)

        def do_UNLOCK(self) -> None:
            self._body()
            backend.lock = b""
            backend.unlocked += 1
            self._answer(200)

    return Answers
