"""More CPU, memory and connections by the real Terraform: what it plans is what is shown, applied once, and taken back."""

from __future__ import annotations

import json

import pytest

from runbook_model.catalog.service_policies import Database, Pool
from runbook_model.errors import StalePlanError
from runbook_model.releases.capacity import TaskChange
from runbook_model.releases.history import ReleaseHistory
from runbook_model.releases.release import Image
from runbook_model.reports import Outcome
from runbook_model.sizes import ContainerSize, TaskSize
from tests.ecs_facts import a_deployment, a_release, a_service, task_definition
from tests.integration.terraform.terraform_stage import Infrastructure
from workflows.decisions.sizing import Reasons
from workflows.decisions.terraform.sizing import TerraformSizePlan, size_by_terraform, values_for, way_back

pytestmark = pytest.mark.xdist_group("terraform-sizing")

MODULE = """
variable "image_tag" { default = "0.9.0" }
variable "cpu" { default = 256 }
variable "memory" { default = 512 }
variable "db_pool_size" { default = 10 }
resource "terraform_data" "task_definition" {
  input = {
    cpu        = var.cpu
    memory     = var.memory
    containers = jsonencode([{
      name        = "app"
      image       = "shop:${var.image_tag}"
      environment = [{ name = "DB_POOL_SIZE", value = tostring(var.db_pool_size) }]
    }])
  }
}
"""
RESOURCE = "terraform_data.task_definition"
RELEASE = a_release(2).model_copy(update={"images": (Image(container="app", name="shop:1.2.0"),)})
HISTORY = ReleaseHistory(service=a_service(a_deployment(2, task_definition(2))), current=RELEASE)
SIZE = TaskSize(
    task_definition=task_definition(2),
    cpu=256,
    memory=512,
    fargate=True,
    containers=(ContainerSize(name="app"),),
)
BIGGER = TaskChange(cpu=512, memory=1024)
RAISED = TaskChange(value="20", containers=("app",))


class Owned(Infrastructure):
    """A module that was applied with the tag that runs; its own default is an older one."""

    def __init__(self, folder) -> None:
        super().__init__(folder, MODULE)
        pool = Pool(terraform_variable="db_pool_size", size=20)
        self.target = self.target.model_copy(update={"database": Database(dsn_env="DSN", pool=pool)})
        self.terraform("apply", "-auto-approve", "-input=false", "-var=image_tag=1.2.0")

    async def plan_values(self, values: dict[str, str]):
        values = dict(values)
        return await self.plan(values.pop("image_tag"), **values)

    async def plan_for(self, change: TaskChange):
        terraform = await self.plan_values(values_for(self.target, HISTORY, change))
        return size_by_terraform(self.target, HISTORY, SIZE, change, terraform, Reasons())

    def state(self) -> dict[str, object]:
        shown = json.loads(self.terraform("show", "-json").stdout)
        (resource,) = shown["values"]["root_module"]["resources"]
        made = resource["values"]["input"]
        (app,) = json.loads(made["containers"])
        return {**made, "image": app["image"], "pool": app["environment"][0]["value"]}


@pytest.fixture
def owned(tmp_path):
    return Owned(tmp_path)


@pytest.mark.parametrize(
    ("change", "shown", "becomes"),
    [
        (
            BIGGER,
            {"input.cpu": "256 → 512", "input.memory": "512 → 1024"},
            {"cpu": "512", "memory": "1024", "pool": "10"},
        ),
        (
            RAISED,
            {"input.containers[0].environment[DB_POOL_SIZE]": '"10" → "20"'},
            {"cpu": 256, "memory": 512, "pool": "20"},
        ),
    ],
)
async def test_what_is_shown_is_applied_and_taken_back(owned, change, shown, becomes):
    plan = await owned.plan_for(change)
    assert isinstance(plan, TerraformSizePlan)
    changes = plan.calls[0].parameters["changes"][RESOURCE]
    assert {path: arrow.replace('"512"', "512").replace('"1024"', "1024") for path, arrow in changes.items()
            if path.startswith("input.")} == shown  # fmt: skip
    await owned.apply(plan.terraform)
    now = owned.state()
    assert {name: now[name] for name in becomes} == becomes
    assert now["image"] == "shop:1.2.0"
    await owned.apply(await owned.plan_values(way_back(plan, owned.target)))
    assert (str(owned.state()["cpu"]), owned.state()["pool"]) == ("256", "10")


async def test_a_plan_that_somebody_overtook_is_stale_and_not_applied(owned):
    plan = await owned.plan_for(BIGGER)
    owned.terraform("apply", "-auto-approve", "-input=false", "-var=image_tag=1.2.0", "-var=db_pool_size=11")
    with pytest.raises(StalePlanError):
        await owned.apply(plan.terraform)
    assert owned.state()["cpu"] == 256


async def test_an_apply_that_was_done_by_an_earlier_attempt_is_adopted(owned):
    plan = await owned.plan_for(BIGGER)
    await owned.apply(plan.terraform)
    assert (await owned.apply(plan.terraform, attempt=2)).adopted


async def test_a_pool_that_was_raised_by_hand_is_not_lowered_by_scaling_up(owned):
    owned.terraform("apply", "-auto-approve", "-input=false", "-var=image_tag=1.2.0", "-var=db_pool_size=20")
    ending = await owned.plan_for(BIGGER)
    assert (ending.outcome, ending.error.kind) == (Outcome.REFUSED, "policy")
    assert (
        "reduce terraform_data.task_definition input.containers[0].environment[DB_POOL_SIZE] (20 → 10)"
        in (ending.summary)
    )


async def test_a_module_with_nothing_to_change_is_reported(owned):
    owned.terraform(
        "apply", "-auto-approve", "-input=false", "-var=image_tag=1.2.0", "-var=cpu=512", "-var=memory=1024"
    )
    assert "the module does not control that" in (await owned.plan_for(BIGGER)).summary
