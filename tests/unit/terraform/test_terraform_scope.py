"""A plan of Terraform's that is about something else than was chosen is refused, and says what it would have changed."""

import json
from pathlib import Path

import pytest

from activities.terraform.reading import read_plan
from runbook_model.catalog.service_policies import Terraform
from runbook_model.releases.terraform_plans import TerraformWish
from runbook_model.reports import Ending
from tests.ecs_facts import a_history, a_release
from tests.ecs_facts import task_definition as arn
from tests.observing import a_target
from tests.unit.terraform.test_terraform_plans import DAY, PLANS, containers
from workflows.decisions.terraform.rollback import value_of_image
from workflows.decisions.terraform.sizing import outside_scope, runs_value, started_past_terraform

OWNER = Terraform(directory="/infra")
HOLDS_IMAGE = Terraform(directory="/infra", image_variable_holds="image")
PROD = a_target(cluster="prod", ecs_service="shop", terraform=OWNER)
HISTORY = a_history((a_release(1), DAY), (a_release(2), DAY))
"""``shop:1.2.0`` runs in prod as revision 2; ``shop:1.1.0`` ran before it."""
WANTED = a_release(1)
RUNS = arn(2)


def definition(before="1.2.0", after="1.1.0", *, revision_before=RUNS):
    return {
        "address": "aws_ecs_task_definition.shop",
        "type": "aws_ecs_task_definition",
        "change": {
            "actions": ["create", "delete"],
            "before": {"arn": revision_before, "family": "shop", "container_definitions": containers(before)},
            "after": {"family": "shop", "container_definitions": containers(after)},
            "after_unknown": {"arn": True},
        },
    }


def service(name="shop", cluster="prod", *, actions=("update",), region="us-east-1"):
    id_ = f"arn:aws:ecs:{region}:123456789012:service/{cluster}/{name}"
    before = {"id": id_, "name": name, "cluster": f"arn:aws:ecs:{region}:123456789012:cluster/{cluster}"}
    return {
        "address": "aws_ecs_service.shop",
        "type": "aws_ecs_service",
        "change": {
            "actions": list(actions),
            "before": None if "create" in actions else before | {"task_definition": arn(2)},
            "after": {"name": name, "cluster": cluster},
            "after_unknown": {"task_definition": True},
        },
    }


def plan(*changes, value="1.1.0", owner=OWNER):
    wish = TerraformWish(target=PROD, variables={"image_tag": value})
    return read_plan({"resource_changes": list(changes)}, wish, owner)


def refusal(*changes, wanted=WANTED, **more) -> str:
    ending = outside_scope(PROD, HISTORY, wanted, plan(*changes, **more))
    assert isinstance(ending, Ending)
    assert ending.error.kind == "policy"
    return ending.summary


def test_a_plan_of_this_service_from_what_runs_to_the_wanted_image_is_taken():
    assert outside_scope(PROD, HISTORY, WANTED, plan(definition(), service())) is None
    assert started_past_terraform(HISTORY, plan(definition(), service())) is None


@pytest.mark.parametrize(("name", "cluster"), [("shop", "staging"), ("shop-staging", "prod")])
def test_a_plan_that_touches_the_service_of_another_environment_is_refused_and_it_is_named(name, cluster):
    said = refusal(definition(), service(name, cluster))
    assert f"update aws_ecs_service.shop (service {name} in cluster {cluster}), not prod/ai-processor" in said
    assert "terraform.workspace" in said


def test_a_plan_in_another_region_is_refused_though_all_names_are_the_same():
    assert "in cluster prod), not prod/" in refusal(service(region="eu-west-1"))


def test_a_plan_of_a_module_that_holds_another_service_is_refused_though_that_stays_as_it_is():
    said = refusal(definition(), service("shop-staging", "staging", actions=("no-op",)))
    assert "whose service is shop-staging in cluster staging" in said


def test_a_plan_that_changes_the_task_definition_of_another_service_is_refused():
    said = refusal(definition(revision_before=arn(2).replace("/shop:", "/shop-staging:")), service())
    assert "replace aws_ecs_task_definition.shop (family shop), while shop:2 runs" in said


def test_a_plan_that_makes_the_service_which_runs_is_refused():
    said = refusal(definition(), service(actions=("create",)))
    assert "create aws_ecs_service.shop (service shop in cluster prod), which runs already" in said


def test_a_plan_from_a_state_that_holds_nothing_is_refused_and_the_workspace_is_named():
    made = {"address": "terraform_data.x", "change": {"actions": ["create"], "before": None, "after": {}}}
    said = refusal(made, owner=Terraform(directory="/infra", workspace="prdo"))
    assert "workspace prdo holds nothing of the module" in said


def data(before, after):
    """A change of a module that says nothing of ECS."""
    change = {"actions": ["update"], "before": {"image": before}, "after": {"image": after}}
    return {"address": "terraform_data.app", "change": change}


def test_a_plan_that_starts_from_something_else_than_what_runs_is_refused_and_says_what_it_would_have_changed():
    said = refusal(data("shop:5.2.0", "shop:1.1.0"))
    assert "change shop:5.2.0 → shop:1.1.0, but it starts from shop:5.2.0, while shop:2 (1.2.0) runs" in said
    assert outside_scope(PROD, HISTORY, WANTED, plan(data("shop:1.2.0", "shop:1.1.0"))) is None


def test_an_image_that_several_resources_name_is_said_once():
    again = data("shop:5.2.0", "shop:1.1.0") | {"address": "terraform_data.service"}
    said = refusal(data("shop:5.2.0", "shop:1.1.0"), again)
    assert said.count("shop:5.2.0 → shop:1.1.0") == 1


def test_what_was_deployed_past_the_module_of_this_very_service_is_said_and_not_refused():
    past = plan(definition("1.2.9"), service())
    assert outside_scope(PROD, HISTORY, WANTED, past) is None
    assert "Terraform's state has shop:1.2.9, but shop:2 (1.2.0) runs" in started_past_terraform(
        HISTORY, past
    )


class TestTheImageVariable:
    def test_gets_the_tag_or_the_whole_image(self):
        assert value_of_image(PROD, WANTED, "1.1.0") == "1.1.0"
        whole = PROD.model_copy(update={"terraform": HOLDS_IMAGE})
        assert value_of_image(whole, WANTED, "1.1.0") == "shop:1.1.0"

    @pytest.mark.parametrize("value", ["1.1.0", "shop:1.1.0"])
    def test_is_known_again_in_what_runs(self, value):
        assert runs_value(WANTED, value)
        assert not runs_value(a_release(2), value)

    def test_that_holds_a_whole_image_and_got_a_tag_is_refused_at_the_plan_with_the_image_named(self):
        said = refusal(data("shop:1.2.0", "1.1.0"))
        assert "bring the image 1.1.0, not shop:1.1.0" in said
        assert 'image_variable_holds = "image"' in said

    def test_that_holds_a_tag_and_got_a_whole_image_is_refused_too(self):
        said = refusal(data("shop:1.2.0", "shop:shop:1.1.0"), value="shop:1.1.0")
        assert "bring the image shop:shop:1.1.0, not shop:1.1.0" in said
        assert 'image_variable_holds = "tag"' in said

    def test_that_brings_an_image_which_nobody_chose_is_refused(self):
        assert "bring the image other:1.1.0, not shop:1.1.0" in refusal(data("shop:1.2.0", "other:1.1.0"))


def test_the_real_providers_plan_tells_service_task_definition_and_image():
    shown = json.loads((Path(PLANS) / "aws-5.100.0.json").read_text())
    found = read_plan(shown, TerraformWish(target=PROD, variables={}), OWNER)
    assert [(item.name, item.cluster, item.action) for item in found.services] == [("shop", "shop", "update")]
    assert [(item.name, item.arn) for item in found.definitions] == [("shop", arn(8))]
    assert [(image.before, image.after) for image in found.images] == [('"shop:1.0.1"', '"shop:1.0.2"')]
