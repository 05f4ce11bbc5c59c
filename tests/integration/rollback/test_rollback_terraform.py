"""Rollback through Terraform for real, but for the provider: its module deploys to the simulated ECS by a script."""

import shutil
import subprocess
import sys

import pytest
from temporalio.client import Client

from activities.runtime.converter import data_converter
from tests.integration.rollback.rollback_stage import Stage
from tests.integration.terraform.terraform_stage import program
from tests.sandbox_under_test import until

CATALOG = """
[environments.infra]
cluster = "infra"
approvals = { needed = 0 }

[services]
"""
MODULE = """
variable "image_tag" {{ type = string }}
resource "terraform_data" "task_definition" {{
  input = jsonencode([{{ name = "app", image = "ai-processor:${{var.image_tag}}" }}])
}}
resource "terraform_data" "service" {{
  triggers_replace = [terraform_data.task_definition.input]
  provisioner "local-exec" {{
    command = "touch started; while test -e hold; do sleep 0.1; done; {python} deploy.py ${{var.image_tag}}"
  }}
}}
"""
SCRIPT = """
import sys, boto3

ecs = boto3.client("ecs", region_name="us-east-1")
now = ecs.describe_services(cluster="infra", services=["{name}"])["services"][0]["taskDefinition"]
definition = ecs.describe_task_definition(taskDefinition=now)["taskDefinition"]
container = definition["containerDefinitions"][0] | {{"image": "ai-processor:" + sys.argv[1]}}
new = ecs.register_task_definition(
    family="{name}", cpu="256", memory="512", containerDefinitions=[container]
)["taskDefinition"]["taskDefinitionArn"]
ecs.update_service(cluster="infra", service="{name}", taskDefinition=new)
"""


WHOLE_IMAGE = MODULE.replace('image = "ai-processor:${{var.image_tag}}"', "image = var.image_tag").replace(
    "deploy.py ${{var.image_tag}}", 'deploy.py ${{reverse(split(":", var.image_tag))[0]}}'
)
"""Its variable is the whole image; the script still takes a tag."""


class Owned:
    """A service that a module owns: 1.0.0 ran, and the module was applied with 1.1.0."""

    def __init__(self, stage: Stage, folder, module: str = MODULE, keys: str = "", image: str = "") -> None:
        self.stage = stage
        self.shop = stage.open_shop("infra", "1.0.0")
        self.directory = folder
        (folder / "main.tf").write_text(module.format(python=sys.executable))
        (folder / "deploy.py").write_text(SCRIPT.format(name=self.shop.name))
        text = stage.catalog.read_text()
        head, section = text[: text.rindex("[services.")], text[text.rindex("[services.") :]
        strategy = 'rollback = { strategy = "terraform", '
        owner = f'terraform = {{ directory = "{folder}"{keys} }}\n'
        stage.catalog.write_text(head + section.replace("rollback = {", strategy) + owner)
        self.apply(f"{image}1.1.0")
        assert self.shop.until_ended() == "SUCCESSFUL"
        self._changes_before = len(self.shop.changes())

    def apply(self, tag: str) -> None:
        """Apply as the owners do."""
        arguments = [program(), "apply", "-auto-approve", "-input=false", f"-var=image_tag={tag}"]
        subprocess.run(
            arguments, cwd=self.directory, env=self.stage.environment, check=True, capture_output=True
        )
        (self.directory / "started").unlink()

    def is_locked(self) -> bool:
        """Whether somebody still holds the state."""
        arguments = [program(), "plan", "-input=false", "-lock-timeout=0s", "-var=image_tag=1.1.0"]
        return subprocess.run(arguments, cwd=self.directory, capture_output=True, check=False).returncode != 0

    @property
    def changes(self) -> list[str]:
        """What was done to ECS since, by the product or by what it started."""
        return self.shop.changes()[self._changes_before :]


@pytest.fixture(scope="module")
async def stage(world, tmp_path_factory):
    """A worker of an environment whose services modules own."""
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = Stage(world, tmp_path_factory.mktemp("terraform"), client)
    stage.catalog.write_text(CATALOG)
    stage.start_worker()
    yield stage
    stage.end()


@pytest.fixture
def owned(stage, tmp_path):
    folder = tmp_path / "module"
    folder.mkdir()
    yield Owned(stage, folder)
    stage.close_shops()
    shutil.rmtree(folder)


async def test_the_module_puts_the_release_back_and_its_deployment_is_verified(owned):
    report = await owned.shop.roll_back()
    assert (report.outcome, report.verdict) == ("recovered", "recovered"), report.summary
    assert owned.shop.images() == ["ai-processor:1.0.0"]
    assert owned.changes == ["RegisterTaskDefinition", "UpdateService"]
    assert owned.shop.marks() == {f"{owned.shop.name}:3": {"good"}, f"{owned.shop.name}:2": {"bad"}}
    (call,) = report.plan.calls
    assert call.parameters["variables"] == {"image_tag": "1.0.0"}
    assert call.parameters["changes"]["terraform_data.task_definition"]["input[0].image"] == (
        '"ai-processor:1.1.0" → "ai-processor:1.0.0"'
    )


@pytest.mark.rare
async def test_a_module_whose_variable_is_the_whole_image_gets_it_and_a_tag_is_refused_at_the_plan(
    stage, tmp_path
):
    for keys in ("", ', image_variable_holds = "image"'):
        folder = tmp_path / f"module{len(keys)}"
        folder.mkdir()
        owned = Owned(stage, folder, WHOLE_IMAGE, keys, "ai-processor:")
        report = await owned.shop.roll_back()
        if not keys:
            assert (report.outcome, owned.changes) == ("refused", [])
            assert "bring the image 1.0.0, not ai-processor:1.0.0" in report.error.message
    assert (report.outcome, owned.shop.images()) == ("recovered", ["ai-processor:1.0.0"]), report.summary
    assert report.plan.calls[0].parameters["variables"] == {"image_tag": "ai-processor:1.0.0"}
    stage.close_shops()


@pytest.mark.rare
async def test_a_worker_that_is_killed_while_it_applies_leaves_the_rest_to_a_persons_yes(owned):
    (owned.directory / "hold").touch()
    handle = await owned.shop.start()
    until((owned.directory / "started").exists)
    owned.stage.kill_worker()
    owned.stage.start_worker()

    gate = await owned.shop.asked(handle)

    assert "cut off half-way" in gate.question
    assert owned.changes == []
    (owned.directory / "hold").unlink()
    await owned.shop.approve(handle)
    report = await handle.result()
    assert report.outcome == "recovered", report.summary
    assert owned.changes == ["RegisterTaskDefinition", "UpdateService"]
    assert [change.certain for change in report.changes] == [False, True]


@pytest.mark.rare
async def test_an_abort_interrupts_the_apply_and_says_that_it_may_be_half_made(owned):
    (owned.directory / "hold").touch()
    handle = await owned.shop.start()
    until((owned.directory / "started").exists)

    aborted = await owned.shop.cli("abort", owned.shop.short, "--reason", "no", "--as", "bob")

    assert aborted.code == 0, aborted.err
    report = await handle.result()
    assert report.outcome == "aborted"
    assert [(change.certain, change.undone) for change in report.changes] == [(False, "kept, if it was made")]
    assert owned.changes == []
    assert not owned.is_locked()
