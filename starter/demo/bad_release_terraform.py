"""The service belongs to a Terraform module: its own variable is put back, by exactly the plan that was approved."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from starter.demo.scenes import BAD_SHARE, approve, ask, changed_exactly, healthy_release, recovered
from starter.demo.stage import ENVIRONMENT, SERVICE, Stage, terraform_program

MODULE = """\
# The module that owns the service. Its resources are Terraform's own: no provider has to be fetched.
variable "image_tag" {{ type = string }}
locals {{
  fails = var.image_tag == "1.1.0" ? "0.3" : "0"
}}
resource "terraform_data" "task_definition" {{
  input = jsonencode([{{ name = "app", image = "{service}:${{var.image_tag}}" }}])
}}
resource "terraform_data" "service" {{
  triggers_replace = [terraform_data.task_definition.input]
  provisioner "local-exec" {{
    command = "'{python}' -m sandbox deploy --environment {environment} --version ${{var.image_tag}} --set FAULT_ERROR_RATE=${{local.fails}}"
  }}
}}
"""
STRATEGY = 'rollback = { strategy = "task-definition"'


async def play(stage: Stage) -> None:
    """Play the story."""
    story_log = stage.story_log
    with tempfile.TemporaryDirectory(prefix="runbook-demo-terraform-", ignore_cleanup_errors=True) as folder:
        await healthy_release(stage)
        with story_log.part("A bad release is applied"):
            _hand_over(stage, Path(folder))
            story_log.say(
                "its owners apply the module with image_tag = 1.1.0, which fails 30 % of its requests"
            )
            apply = [
                terraform_program() or "terraform",
                "apply",
                "-auto-approve",
                "-input=false",
                "-no-color",
            ]
            applied = await stage.succeeds("it is applied", [*apply, "-var=image_tag=1.1.0"], Path(folder))
            story_log.need("terraform apply succeeds", applied)
            bad = await stage.error_rate("errors show", lambda rate: rate.share > 2.5 * BAD_SHARE, 40)
            story_log.need("but requests fail", bad.share > BAD_SHARE, bad)
        with story_log.part("alice starts a rollback"):
            plan, gate = await ask(stage, "rollback", "30 % errors since 1.1.0")
            variables = [call.parameters.get("variables") for call in plan.calls]
            back = variables == [{"image_tag": "1.0.0"}]
            story_log.expect("the plan is Terraform's own, with image_tag = 1.0.0", back, variables)
        with story_log.part("bob approves"):
            await approve(stage, gate)
        with story_log.part("Terraform applies exactly that, and it is verified"):
            ended = await recovered(stage)
        with story_log.part("What was done"):
            actions = [
                f"{change.action}: {change.before} -> {change.after}" for change in ended.report.changes
            ]
            story_log.expect("one change was made, by Terraform", len(actions) == 1, "; ".join(actions))
            await changed_exactly(stage, "RegisterTaskDefinition", "UpdateService")


def _hand_over(stage: Stage, folder: Path) -> None:
    """Write the module, and say in the catalog that it owns the service."""
    module = MODULE.format(python=sys.executable, service=SERVICE, environment=ENVIRONMENT)
    (folder / "main.tf").write_text(module)
    catalog = Path(stage.world.addresses["catalog"])
    head, section, rest = catalog.read_text().partition(f"[services.{SERVICE}.{ENVIRONMENT}]")
    owned = f'{section}\nterraform = {{ directory = "{folder}" }}'
    stage.story_log.need("the catalog names the service", section and STRATEGY in rest)
    catalog.write_text(head + owned + rest.replace(STRATEGY, 'rollback = { strategy = "terraform"', 1))
    stage.story_log.say(f"the catalog says that the module in {folder} owns the service")
