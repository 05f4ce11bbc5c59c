"""A module of Terraform's AWS provider that owns a service of the simulated ECS, and where the provider is found."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.integration.rollback.rollback_stage import Shop
from tests.integration.terraform.terraform_stage import program

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS = "RUNBOOK_TEST_TERRAFORM_PLUGINS"
IMPLIED = ("/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "~/.terraform.d/plugins")
"""Where Terraform itself looks for mirrors."""
REGISTRY_SECONDS = 30
"""How long the registry may take to give the provider."""
FIX = (
    f"Terraform's AWS provider is not on this machine, and no registry gave it: name a folder that "
    f"`terraform providers mirror` has made, in {PLUGINS}"
)
HASHES = re.compile(r"  hashes = \[.*?\]\n", re.DOTALL)
TERMS = """
[services.{name}.{environment}]
ecs_service = "{name}"
url = "{url}"
thresholds = {{ min_requests = 4 }}
verify = {{ bake = "2s", rate_window = "4s", consecutive = 3 }}
rollback = {{ strategy = "terraform", soak = "0s", steady = "60s" }}
probe = {{ path = "/api/v1/process", body = '{{"test": "data"}}' }}
terraform = {{ directory = "{directory}" }}
"""
REQUIRED = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
"""
MODULE = (
    REQUIRED.replace("{", "{{").replace("}", "}}")
    + """
variable "image_tag" {{ type = string }}
variable "cpu" {{ default = 256 }}
variable "memory" {{ default = 512 }}
variable "db_pool_size" {{ default = 10 }}
provider "aws" {{
  region                      = "us-east-1"
  access_key                  = "sandbox"
  secret_key                  = "sandbox"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {{ ecs = "{endpoint}" }}
  ignore_tags {{ key_prefixes = ["runbook:"] }}
}}
resource "aws_ecs_task_definition" "app" {{
  family = "{name}"
  cpu    = var.cpu
  memory = var.memory
  tags   = {{ team = "web" }}
  container_definitions = jsonencode([{{
    name         = "app"
    image        = "ai-processor:${{var.image_tag}}"
    essential    = true
    portMappings = [{{ containerPort = 8080 }}]
    environment = [
      {{ name = "ENVIRONMENT", value = "{environment}" }},
      {{ name = "DB_POOL_SIZE", value = tostring(var.db_pool_size) }},
    ]
  }}])
}}
resource "aws_ecs_service" "app" {{
  name                  = "{name}"
  cluster               = "{environment}"
  task_definition       = aws_ecs_task_definition.app.arn
  desired_count         = 1
  wait_for_steady_state = true
  lifecycle {{ ignore_changes = [desired_count] }}
}}
"""
)


@contextmanager
def initialised() -> Iterator[Path | None]:
    """Initialise an empty module with the provider, whose links others take over; None where nobody has it."""
    with tempfile.TemporaryDirectory(prefix="terraform-aws-") as folder:
        yield Path(folder) if _initialise(Path(folder)) else None


def _initialise(folder: Path) -> bool:
    (folder / "main.tf").write_text(REQUIRED)
    mirror = _mirror()
    options = [f"-plugin-dir={mirror}"] if mirror else []
    try:
        made = run_in(folder, "init", "-input=false", *options, seconds=None if mirror else REGISTRY_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    lock = folder / ".terraform.lock.hcl"
    if made.returncode or not lock.exists():
        return False
    # With its hashes Terraform reads all of the 700 MB at each of its starts.
    lock.write_text(HASHES.sub("", lock.read_text()))
    return True


def take_over(made: Path, folder: Path) -> None:
    """Initialise a module by what another one has: the provider is linked, never copied."""
    (folder / ".terraform").mkdir()
    (folder / ".terraform/providers").symlink_to(made / ".terraform/providers")
    for name in (".terraform.lock.hcl", ".terraform/plugin_path"):
        if (made / name).exists():
            shutil.copy(made / name, folder / name)


def _mirror() -> Path | None:
    """Find a folder that holds the provider, in the layout of Terraform's mirrors."""
    if named := os.environ.get(PLUGINS):
        return Path(named)
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for root in (*(Path(item).expanduser() for item in IMPLIED), *Path("/opt").glob("*")):
        if any(root.glob(f"*/hashicorp/aws/*/*_{machine}")):
            return root
    return None


def run_in(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None, seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Terraform in a folder."""
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
    given = {**(environment or os.environ), **quiet}
    given.pop("TF_CLI_CONFIG_FILE", None)
    return subprocess.run(
        [program(), *arguments, "-no-color"],
        cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=seconds,
    )  # fmt: skip


class OwnedShop(Shop):
    """A service that its owners made by such a module, with 1.0.0."""

    def __init__(self, stage, provider: Path, folder: Path, name: str, environment: str) -> None:
        super().__init__(stage, name, environment)
        self.directory = folder
        self.ecs.create_cluster(clusterName=environment)
        take_over(provider, folder)
        module = MODULE.format(endpoint=stage.world.addresses.aws, name=name, environment=environment)
        (folder / "main.tf").write_text(module)
        self.apply("1.0.0")
        self.until_ended()
        with stage.catalog.open("a", encoding="utf-8") as catalog:
            catalog.write(TERMS.format(name=name, environment=environment, url=self.url, directory=folder))

    def release(self, tag: str) -> str:
        """Deploy as the owners do, and return the revision; calls count from then on."""
        self.apply(tag)
        self.until_ended()
        self._calls_before = len(self.stage.world.calls())
        return self.runs()

    def terraform(self, *arguments: str) -> str:
        """Run Terraform as the owners do, and return what it says."""
        made = run_in(self.directory, *arguments, environment=self.stage.environment)
        assert made.returncode == 0, made.stderr
        return made.stdout

    def apply(self, tag: str) -> None:
        """Apply as the owners do."""
        self.terraform("apply", "-auto-approve", "-input=false", f"-var=image_tag={tag}")

    def status(self, revision: str) -> str:
        """Whether a revision is ACTIVE."""
        return self.ecs.describe_task_definition(taskDefinition=revision)["taskDefinition"]["status"]

    def ledger_of(self, revision: str) -> set[str]:
        """What the ledger says of a revision, a deregistered one too."""
        found = self.ecs.describe_task_definition(taskDefinition=revision)
        return self.marks_of(found["taskDefinition"]["taskDefinitionArn"])
