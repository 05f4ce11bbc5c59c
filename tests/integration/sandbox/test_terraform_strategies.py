"""Terraform's real AWS provider on a service whose deployments shift traffic.

Provider 5 knows no strategies: such a service was changed by other means, and its module must leave that alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ecs_world import CLUSTER
from test_ecs_strategies import BLUE_GREEN, ONE, PAIR, TWO, weights

from tests.integration.terraform.aws_module import FIX, initialised, run_in, take_over

if TYPE_CHECKING:
    from pathlib import Path

    from ecs_world import World

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("terraform-aws"), pytest.mark.timeout(600)]

MODULE = """
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}
variable "image_tag" {{ type = string }}
provider "aws" {{
  region                      = "us-east-1"
  access_key                  = "sandbox"
  secret_key                  = "sandbox"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
  endpoints {{ ecs = "{endpoint}" }}
}}
resource "aws_ecs_task_definition" "app" {{
  family = "web"
  container_definitions = jsonencode([{{
    name         = "app"
    image        = "ai-processor:${{var.image_tag}}"
    essential    = true
    memory       = 128
    portMappings = [{{ containerPort = 8000 }}]
  }}])
}}
resource "aws_ecs_service" "app" {{
  name                  = "web"
  cluster               = "{cluster}"
  task_definition       = aws_ecs_task_definition.app.arn
  desired_count         = 1
  load_balancer {{
    target_group_arn = "{group}"
    container_name   = "app"
    container_port   = 8000
  }}
}}
"""


def test_a_module_that_knows_no_strategy_releases_blue_green_and_destroys_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOGC", "400")  # the provider starts in two thirds of the time
    with initialised() as made:
        if made is None:
            pytest.skip(FIX)
        take_over(made, tmp_path)
        (tmp_path / "main.tf").write_text(MODULE.format(endpoint=world.url, cluster=CLUSTER, group=ONE))

        def terraform(verb: str, *arguments: str, tag: str = "1.0.0") -> str:
            done = run_in(tmp_path, verb, *arguments, "-input=false", f"-var=image_tag={tag}")
            assert done.returncode == 0, done.stderr
            return done.stdout

        world.ecs.create_cluster(clusterName=CLUSTER)
        terraform("apply", "-auto-approve")
        world.update(loadBalancers=[PAIR], deploymentConfiguration=BLUE_GREEN | {"bakeTimeInMinutes": 2})
        world.until(lambda: world.deployment()["status"] == "SUCCESSFUL")
        assert "No changes." in terraform("plan")

        serving = weights(world)
        terraform("apply", "-auto-approve", tag="1.1.0")
        released = world.until(lambda: now if (now := world.deployment())["status"] == "SUCCESSFUL" else None)
        assert released["deploymentConfiguration"]["strategy"] == "BLUE_GREEN"
        assert weights(world) == {group: 100 - weight for group, weight in serving.items()}
        assert "No changes." in terraform("plan", tag="1.1.0")
        assert {balancer["targetGroupArn"] for balancer in world.service()["loadBalancers"]} == {ONE}
        assert TWO in str(world.service()["loadBalancers"])

        terraform("destroy", "-auto-approve", tag="1.1.0")
        assert world.service()["status"] == "INACTIVE"
