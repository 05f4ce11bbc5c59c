"""Terraform's real AWS provider against the simulated ECS: as the owners of a service use it, and as a rollback does.

Each start of the provider takes seconds of a processor, so there is one service, and each test starts with a release that its
owners apply.
"""

from __future__ import annotations

import pytest
from temporalio.client import Client

from activities.runtime.converter import data_converter
from tests.integration.rollback.rollback_stage import Stage
from tests.integration.terraform.aws_module import FIX, OwnedShop, initialised
from tests.sandbox_under_test import until

pytestmark = [pytest.mark.rare, pytest.mark.xdist_group("terraform-aws"), pytest.mark.timeout(600)]

CATALOG = """
[environments.owned]
cluster = "owned"
approvals = { needed = 0 }

[services]
"""


@pytest.fixture(scope="module")
def provider():
    """A module that has the provider.

    It may be missing, as nothing else may: neither PyPI nor Debian has it, so the set-up cannot install it.
    """
    with initialised() as folder, pytest.MonkeyPatch.context() as patch:
        if folder is None:
            pytest.skip(FIX)
        patch.setenv("GOGC", "400")  # the provider starts in two thirds of the time
        yield folder


@pytest.fixture(scope="module")
async def stage(provider, world, tmp_path_factory):
    """A worker of an environment whose services modules own."""
    client = await Client.connect(world.addresses.temporal, data_converter=data_converter)
    stage = Stage(world, tmp_path_factory.mktemp("aws"), client)
    stage.catalog.write_text(CATALOG)
    stage.start_worker()
    yield stage
    stage.end()


@pytest.fixture(scope="module")
def shop(provider, stage, tmp_path_factory):
    """A service that its owners made with 1.0.0, and destroy."""
    shop = OwnedShop(stage, provider, tmp_path_factory.mktemp("module"), "web", "owned")
    yield shop
    shop.terraform("destroy", "-auto-approve", "-input=false", "-var=image_tag=1.0.0")
    assert shop.service()["status"] == "INACTIVE"
    assert not shop.ecs.list_task_definitions(familyPrefix="web")["taskDefinitionArns"]


async def test_a_bad_release_is_put_back_by_one_update_and_the_ledger_outlives_the_next_plan(shop):
    good = shop.runs()
    bad = shop.release("1.1.0")
    assert shop.status(good) == "INACTIVE"  # the provider deregistered it: only its image can come back
    report = await (await shop.start()).result()

    assert (report.outcome, report.verdict) == ("recovered", "recovered"), report.summary
    assert (shop.changes(), shop.images()) == (
        ["RegisterTaskDefinition", "UpdateService"],
        ["ai-processor:1.0.0"],
    )
    assert (shop.ledger_of(bad), shop.ledger_of(shop.runs())) == ({"bad"}, {"good"})
    assert (shop.status(bad), shop.status(shop.runs())) == ("INACTIVE", "ACTIVE")
    (call,) = report.plan.calls
    changed = call.parameters["changes"]["aws_ecs_task_definition.app"]
    assert list(changed.items())[:2] == [
        ("action", "replace"),
        ("container_definitions[0].image", '"ai-processor:1.1.0" → "ai-processor:1.0.0"'),
    ]
    assert f"The provider deregisters {bad}." in report.plan.not_restored
    assert "No changes." in shop.terraform("plan", "-input=false", "-var=image_tag=1.0.0")


async def test_an_apply_whose_worker_is_killed_is_interrupted_and_taken_as_done_once_ecs_was_updated(shop):
    shop.release("1.2.0")
    handle = await shop.start()
    until(lambda: "UpdateService" in shop.changes())
    shop.stage.kill_worker()
    shop.stage.start_worker()
    report = await handle.result()

    assert (report.outcome, report.verdict) == ("recovered", "recovered"), report.summary
    assert (shop.changes(), shop.images()) == (
        ["RegisterTaskDefinition", "UpdateService"],
        ["ai-processor:1.0.0"],
    )
    assert [change.action for change in report.changes] == ["terraform apply"]
