"""What is read from a Terraform plan: the AWS provider's shapes, hidden secrets, bounded size."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from activities.terraform.reading import BUDGET, read_plan
from runbook_model.catalog.service_policies import Terraform
from runbook_model.releases.terraform_plans import TerraformWish
from runbook_model.reports import Ending
from tests.ecs_facts import a_history, a_release, with_a_sidecar
from tests.ecs_facts import task_definition as arn
from tests.observing import a_target
from workflows.decisions.terraform.rollback import plain_tag, takes_more, terraform_tag
from workflows.decisions.terraform.sizing import hidden

PLANS = Path(__file__).parent / "plans"
DAY = timedelta(days=1)
OWNER = Terraform(directory="/infra")
WISH = TerraformWish(target=a_target(), variables={"image_tag": "1.1.0"})


def containers(tag, password="hunter2"):
    app = {"name": "app", "image": f"shop:{tag}", "environment": [{"name": "DB_PASSWORD", "value": password}]}
    return json.dumps([app])


def task_definition(**before):
    """The change that the AWS provider makes of another image."""
    return {
        "address": "aws_ecs_task_definition.shop",
        "type": "aws_ecs_task_definition",
        "change": {
            "actions": ["create", "delete"],
            "before": {
                "arn": arn(2),
                "family": "shop",
                "container_definitions": containers("1.2.0"),
                **before,
            },
            "after": {"family": "shop", "container_definitions": containers("1.1.0", "hunter3")},
            "after_unknown": {"arn": True, "revision": True},
        },
    }


def read(*changes, outputs=None):
    return read_plan({"resource_changes": list(changes), "output_changes": outputs or {}}, WISH, OWNER)


def test_a_containers_image_is_shown_though_the_provider_has_it_as_text():
    (resource,) = read(task_definition()).resources
    shown = {attribute.path: (attribute.before, attribute.after) for attribute in resource.attributes}
    assert resource.action == "replace"
    assert shown["container_definitions[0].image"] == ('"shop:1.2.0"', '"shop:1.1.0"')
    assert shown["arn"] == (f'"{arn(2)}"', "(known after apply)")
    assert "family" not in shown


def test_the_id_of_what_is_replaced_tells_nothing_and_is_not_shown():
    replaced = {"actions": ["delete", "create"], "before": {"id": "5f2c", "input": "a"}}
    change = replaced | {"after": {"input": "b"}, "after_unknown": {"id": True}}
    (resource,) = read({"address": "terraform_data.x", "change": change}).resources
    assert [attribute.path for attribute in resource.attributes] == ["input"]


def test_a_variable_with_a_secrets_name_is_shown_to_change_but_not_what_it_is():
    (resource,) = read(task_definition()).resources
    changed = next(attribute for attribute in resource.attributes if "DB_PASSWORD" in attribute.path)
    assert (changed.before, changed.after) == ("[redacted]", "[redacted]")


def test_what_changes_comes_before_what_nobody_knows_yet():
    (resource,) = read(task_definition()).resources
    paths = [attribute.path for attribute in resource.attributes]
    assert paths.index("container_definitions[0].image") < paths.index("arn")


def test_what_the_provider_reads_as_empty_text_is_no_change():
    (resource,) = read(task_definition(ipc_mode="", network_mode="host")).resources
    shown = {attribute.path: (attribute.before, attribute.after) for attribute in resource.attributes}
    assert "ipc_mode" not in shown
    assert shown["network_mode"] == ('"host"', None)


def service(count, *, ignored=True):
    """The change that it makes of a service whose tasks autoscaling counts."""
    before = {"name": "shop", "desired_count": count, "task_definition": arn(2)}
    after = {"name": "shop", "desired_count": count if ignored else 1}
    return {
        "address": "aws_ecs_service.shop",
        "type": "aws_ecs_service",
        "change": {
            "actions": ["update"],
            "before": before,
            "after": after,
            "after_unknown": {"task_definition": True},
        },
    }


def test_a_count_that_the_module_ignores_is_nothing_to_the_hash():
    assert read(service(4)).hash == read(service(5)).hash


def test_a_count_that_the_module_would_set_back_is_another_plan():
    assert read(service(4, ignored=False)).hash != read(service(5, ignored=False)).hash


def test_the_task_definition_that_is_replaced_is_deregistered():
    assert read(task_definition()).deregisters == (arn(2),)


def test_one_whose_module_says_skip_destroy_is_not():
    assert read(task_definition(skip_destroy=True)).deregisters == ()


@pytest.mark.parametrize("actions", [["no-op"], ["read"]])
def test_what_changes_nothing_is_no_change(actions):
    unchanged = task_definition()
    unchanged["change"]["actions"] = actions
    assert read(unchanged).empty


def test_a_change_of_outputs_alone_is_a_change():
    plan = read(outputs={"tag": {"actions": ["update"], "before": "1", "after": "2"}})
    assert not plan.empty
    assert plan.summary == "outputs only"


def test_a_huge_plan_is_cut_but_all_of_it_counts_for_its_hash():
    def many(last):
        names = [f"aws_x.n{number}" for number in range(500)]
        return [
            {
                "address": name,
                "change": {"actions": ["update"], "before": {"a": "x" * 900}, "after": {"a": last}},
            }
            for name in names
        ]

    plan = read(*many("y"))
    assert sum(len(resource.model_dump_json()) for resource in plan.resources) < 3 * BUDGET
    assert plan.left_out > 0
    assert len(plan.addresses) == 500
    other = many("y")
    other[-1]["change"]["after"] = {"a": "z"}
    assert read(*other).hash != plan.hash


def test_the_order_of_resources_is_nothing_to_the_hash():
    first, second = task_definition(), {**task_definition(), "address": "aws_ecs_task_definition.other"}
    assert read(first, second).hash == read(second, first).hash


class TestWhatItTakesBeyondTheRelease:
    def test_is_said_with_numbers(self):
        assert takes_more(read(task_definition(), service(4, ignored=False))) == (
            'for image_tag="1.1.0" Terraform would also reduce aws_ecs_service.shop desired_count (4 → 1)'
        )

    def test_is_nothing_where_the_module_ignores_the_count(self):
        assert takes_more(read(task_definition(), service(4))) is None

    def test_is_not_a_tag_that_is_a_number(self):
        wish = TerraformWish(target=a_target(), variables={"image_tag": "1733"})
        change = {"actions": ["update"], "before": {"build": "1734"}, "after": {"build": "1733"}}
        shown = {"resource_changes": [{"address": "aws_x.build", "change": change}]}
        assert takes_more(read_plan(shown, wish, OWNER)) is None
        change["after"] = {"build": "1700"}
        assert "aws_x.build build (1734 → 1700)" in takes_more(read_plan(shown, wish, OWNER))

    def test_is_whatever_it_deletes(self):
        gone = {"address": "aws_x.gone", "change": {"actions": ["delete"], "before": {"a": 1}, "after": None}}
        assert "aws_x.gone (deleted)" in takes_more(read(gone))


def test_what_terraform_hides_is_named():
    secret = task_definition()
    secret["change"] |= {
        "before_sensitive": {"container_definitions": True},
        "after_sensitive": {"container_definitions": True},
    }
    plan = read(secret)
    assert "hunter" not in plan.model_dump_json()
    assert hidden(plan).startswith(
        "Terraform hides aws_ecs_task_definition.shop container_definitions: it is not visible"
    )
    assert hidden(read(task_definition())) is None


class TestAPlanOfTheRealProvider:
    """Version 5.100.0, another image, for a service of two tasks whose module counts one and does not ignore it."""

    plan = read_plan(json.loads((PLANS / "aws-5.100.0.json").read_text()), WISH, OWNER)

    def test_shows_what_changes_first_and_nothing_that_is_merely_unset(self):
        service, definition = self.plan.resources
        shown = [(attribute.path, attribute.before, attribute.after) for attribute in definition.attributes]
        assert shown[0] == ("container_definitions[0].image", '"shop:1.0.1"', '"shop:1.0.2"')
        assert not {"ipc_mode", "pid_mode", "task_role_arn"} & {path for path, _, _ in shown}
        assert [(attribute.path, attribute.before, attribute.after) for attribute in service.attributes] == [
            ("desired_count", "2", "1"),
            ("task_definition", f'"{arn(8)}"', "(known after apply)"),
        ]
        assert (service.action, definition.action) == ("update", "replace")

    def test_says_what_is_deregistered_and_what_is_lost(self):
        assert self.plan.deregisters == (arn(8),)
        assert "aws_ecs_service.app desired_count (2 → 1)" in takes_more(self.plan)
        assert hidden(self.plan) is None


class TestTheTag:
    def test_is_that_of_the_release(self):
        history = a_history((a_release(1), DAY), (a_release(2), DAY))
        assert terraform_tag(history, a_release(1)) == "1.1.0"

    def test_is_the_apps_whatever_stands_before_it_in_the_task_definition(self):
        older, two = with_a_sidecar(a_release(1), seed=98), with_a_sidecar(a_release(2))
        assert terraform_tag(a_history((older, DAY), (two, DAY)), older) == "1.1.0"

    def test_that_an_undo_applies_is_the_apps_too(self):
        assert plain_tag(with_a_sidecar(a_release(1))) == "1.1.0"

    def test_that_is_pinned_by_digest_is_none(self):
        pinned = a_release(1)
        (image,) = pinned.images
        image = image.model_copy(update={"name": "shop@sha256:" + "0" * 64})
        history = a_history((a_release(1), DAY), (a_release(2), DAY))
        refused = terraform_tag(history, pinned.model_copy(update={"images": (image,)}))
        assert isinstance(refused, Ending)
        assert "is unknown" in refused.summary
